"""Trains three versions of a real model and registers them, as a pipeline would.

    python train.py TRACKING_URI NAME COMMIT1 COMMIT2 COMMIT3

Logistic regressions on the breast-cancer data that scikit-learn ships. The
versions differ in how strongly they are held back (`C`), so their accuracies
differ honestly: version 1 is the champion, 2 is a little better, 3 is plainly
worse. Prints one JSON object that says what was registered.
"""

import hashlib
import json
import sys

import mlflow
import mlflow.sklearn
import pandas
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# version, strength, rows used for training: the third is starved and over-regularised
CANDIDATES = [(0.01, 1.0), (1.0, 1.0), (0.0001, 0.1)]


def main():
    uri, name, *commits = sys.argv[1:]
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.set_experiment(f"{name}-training")
    client = MlflowClient()
    frame = load_breast_cancer(as_frame=True).frame
    train, test = train_test_split(frame, test_size=0.3, random_state=7, stratify=frame["target"])
    digest = hashlib.md5(frame.to_csv(index=False).encode(), usedforsecurity=False).hexdigest()
    told = []
    for (strength, share), commit in zip(CANDIDATES, commits, strict=True):
        told.append(one(client, name, train.sample(frac=share, random_state=7), test, strength, commit, digest))
    client.set_registered_model_alias(name, "champion", "1")
    print(json.dumps({"experiment_id": experiment.experiment_id, "model": name, "versions": told}))


def one(client, name, train, test, strength, commit, digest):
    features, target = train.drop(columns="target"), train["target"]
    held_out, truth = test.drop(columns="target"), test["target"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
    with mlflow.start_run(run_name=f"train-{commit[:7]}") as run:
        model.fit(features, target)
        mlflow.log_params({"C": strength, "rows": len(train)})
        mlflow.log_input(dataset(train, "breast-cancer-train"), context="training")
        evaluated = dataset(test, "breast-cancer-test")
        mlflow.log_input(evaluated, context="eval")
        mlflow.set_tags(
            {"mlflow.source.git.commit": commit, "git_sha": commit, "dvc.md5": digest, "pipeline": "real-lane"}
        )
        logged = mlflow.sklearn.log_model(model, name="model", input_example=held_out.head(2))
        chance = model.predict_proba(held_out)[:, 1]
        metrics = {
            "accuracy": accuracy_score(truth, model.predict(held_out)),
            "auc": roc_auc_score(truth, chance),
            "log_loss": log_loss(truth, chance),
        }
        mlflow.log_metrics(metrics, model_id=logged.model_id, dataset=evaluated)
    version = mlflow.register_model(f"models:/{logged.model_id}", name, tags={"git_sha": commit})
    client.set_model_version_tag(name, version.version, "dvc.md5", digest)
    return {
        "version": version.version,
        "run_id": run.info.run_id,
        "model_id": logged.model_id,
        "commit": commit,
        "metrics": metrics,
        "dataset_digest": evaluated.digest,
    }


def dataset(frame, name):
    return mlflow.data.from_pandas(pandas.DataFrame(frame), name=name, targets="target")


if __name__ == "__main__":
    main()
