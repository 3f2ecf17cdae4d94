//! What a condition comes to for a result.

use crate::sim::kubernetes::expression::{Expression, Outcome, Value};

/// The value of an expression.
///
/// # Errors
/// A sentence when types do not fit or an index is out of range.
pub(super) fn evaluate(expression: &Expression, result: &Outcome) -> Result<Value, String> {
    match expression {
        Expression::Constant(value) => Ok(value.clone()),
        Expression::Result => Ok(match result {
            Outcome::Number(number) => Value::Number(*number),
            Outcome::Vector(vector) => Value::Vector(vector.clone()),
        }),
        Expression::Not(inner) => Ok(Value::Bool(!truth(&evaluate(inner, result)?)?)),
        Expression::Negative(inner) => Ok(Value::Number(-number(&evaluate(inner, result)?)?)),
        Expression::Index(inner, index) => {
            index_of(&evaluate(inner, result)?, &evaluate(index, result)?)
        }
        Expression::Call(name, arguments) => call(name, arguments, result),
        Expression::Both("&&", left, right) => {
            let holds = truth(&evaluate(left, result)?)? && truth(&evaluate(right, result)?)?;
            Ok(Value::Bool(holds))
        }
        Expression::Both("||", left, right) => {
            let holds = truth(&evaluate(left, result)?)? || truth(&evaluate(right, result)?)?;
            Ok(Value::Bool(holds))
        }
        Expression::Both(sign, left, right) => {
            both(sign, &evaluate(left, result)?, &evaluate(right, result)?)
        }
    }
}

#[expect(
    clippy::float_cmp,
    reason = "the language compares floats exactly, and so must we"
)]
fn both(sign: &str, left: &Value, right: &Value) -> Result<Value, String> {
    match (sign, left, right) {
        ("==", _, _) if !matches!((left, right), (Value::Number(_), Value::Number(_))) => {
            return Ok(Value::Bool(left == right));
        }
        ("!=", _, _) if !matches!((left, right), (Value::Number(_), Value::Number(_))) => {
            return Ok(Value::Bool(left != right));
        }
        _ => (),
    }
    let (Value::Number(l), Value::Number(r)) = (left, right) else {
        let (left, right) = (left.kind(), right.kind());
        return Err(format!(
            "invalid operation: {sign} (mismatched types {left} and {right})"
        ));
    };
    Ok(match sign {
        "<" => Value::Bool(l < r),
        "<=" => Value::Bool(l <= r),
        ">" => Value::Bool(l > r),
        ">=" => Value::Bool(l >= r),
        "==" => Value::Bool(l == r),
        "!=" => Value::Bool(l != r),
        "+" => Value::Number(l + r),
        "-" => Value::Number(l - r),
        "*" => Value::Number(l * r),
        "/" => Value::Number(l / r),
        _ => Value::Number(l % r),
    })
}

fn index_of(value: &Value, index: &Value) -> Result<Value, String> {
    let Value::Vector(vector) = value else {
        return Err(format!(
            "invalid operation: type {} does not support indexing",
            value.kind()
        ));
    };
    let index = number(index)?;
    let found = vector
        .iter()
        .enumerate()
        .find(|(at, _)| as_number(*at) == Some(index));
    found
        .map(|(_, found)| Value::Number(*found))
        // The words of the evaluator's library.
        .ok_or_else(|| "reflect: slice index out of range".to_owned())
}

fn call(name: &str, arguments: &[Expression], result: &Outcome) -> Result<Value, String> {
    let values: Vec<Value> = arguments
        .iter()
        .map(|argument| evaluate(argument, result))
        .collect::<Result<_, _>>()?;
    match (name, values.as_slice()) {
        ("len", [Value::Vector(vector)]) => {
            Ok(Value::Number(as_number(vector.len()).unwrap_or(f64::MAX)))
        }
        ("isNaN", [value]) => Ok(Value::Bool(number(value)?.is_nan())),
        ("isInf", [value]) => Ok(Value::Bool(number(value)?.is_infinite())),
        ("isNil", [value]) => Ok(Value::Bool(*value == Value::Nil)),
        ("asInt", [value]) => Ok(Value::Number(number(value)?.trunc())),
        ("asFloat", [value]) => Ok(Value::Number(number(value)?)),
        ("default", [Value::Nil, otherwise]) => Ok(otherwise.clone()),
        ("default", [value, _]) => Ok(value.clone()),
        _ => Err(format!("cannot call {name} with these arguments")),
    }
}

fn as_number(count: usize) -> Option<f64> {
    u32::try_from(count).ok().map(f64::from)
}

fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        other => Err(format!("expected bool, but got {}", other.kind())),
    }
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        other => Err(format!("expected float64, but got {}", other.kind())),
    }
}
