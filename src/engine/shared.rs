//! A sorted map of which many versions are held at once.
//!
//! Every published world is held by readers while the next one is made from it.
//! A plain map would be copied whole with the first change after that. Here the
//! entries lie in short sorted runs behind a list of pointers: a clone copies
//! one pointer, a change copies the list and one run, and the rest stays shared
//! between all versions.

use std::{borrow::Borrow, collections::HashSet, fmt, ops::Index, sync::Arc};

/// Entries of one run at most; a fuller one is split in two.
const RUN: usize = 64;

/// A sorted run of entries; never empty.
type Run<K, V> = Arc<Vec<(K, V)>>;

/// A sorted map; cheap to clone, and cheap to change while clones are held.
pub struct SharedMap<K, V> {
    #[expect(
        clippy::rc_buffer,
        reason = "the list is changed in place while nobody else holds it"
    )]
    runs: Arc<Vec<Run<K, V>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self {
            runs: Arc::new(Vec::new()),
            len: 0,
        }
    }
}

// By hand, because a derive would ask for `K: Clone`.
impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self {
            runs: Arc::clone(&self.runs),
            len: self.len,
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K, V> SharedMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.runs
            .iter()
            .flat_map(|run| run.iter())
            .map(|(key, value)| (key, value))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The keys under which another version has something else, or nothing, or
    /// what this one has not. Costs what was changed, not what there is.
    pub fn changed_since<'a>(&'a self, other: &'a Self, same: impl Fn(&V, &V) -> bool) -> Vec<&'a K>
    where
        K: Ord,
    {
        let unshared = |of: &'a Self, others: &HashSet<*const Vec<(K, V)>>| {
            let runs = of.runs.iter();
            let own = runs.filter(|run| !others.contains(&Arc::as_ptr(run)));
            own.flat_map(|run| run.iter()).collect::<Vec<_>>()
        };
        let pointers = |of: &Self| of.runs.iter().map(Arc::as_ptr).collect();
        let here = unshared(self, &pointers(other)).into_iter();
        let here = here.filter(|(key, value)| other.get(key).is_none_or(|old| !same(old, value)));
        let there = unshared(other, &pointers(self)).into_iter();
        let there = there.filter(|(key, _)| !self.contains_key(key));
        here.chain(there).map(|(key, _)| key).collect()
    }

    /// Whether both are the same version: nothing was changed between them.
    /// Two maps made apart are never the same, whatever is in them.
    pub fn is_same_version(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.runs, &other.runs)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (run, at) = self.find(key);
        let (_, value) = self.runs.get(run)?.get(at.ok()?)?;
        Some(value)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).1.is_ok()
    }

    /// The entries from the first on whose key is not `before`, in order. The
    /// keys that are before must be the first ones.
    pub fn from_where<'a>(
        &'a self,
        before: &dyn Fn(&K) -> bool,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let starts_before = |run: &Run<K, V>| run.first().is_some_and(|(key, _)| before(key));
        let run = self.runs.partition_point(starts_before).saturating_sub(1);
        let runs = self.runs.get(run..).unwrap_or_default();
        let skipped = runs
            .first()
            .map_or(0, |run| run.partition_point(|(key, _)| before(key)));
        runs.iter()
            .flat_map(|run| run.iter())
            .skip(skipped)
            .map(|(key, value)| (key, value))
    }

    /// The run that has the key or would have it, and where in it: `Err` names
    /// the place where it would be inserted.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> (usize, Result<usize, usize>)
    where
        K: Borrow<Q>,
    {
        let after = self
            .runs
            .partition_point(|run| run.first().is_some_and(|(first, _)| first.borrow() <= key));
        let run = after.saturating_sub(1);
        let at = self.runs.get(run).map_or(Err(0), |run| {
            run.binary_search_by(|(other, _)| other.borrow().cmp(key))
        });
        (run, at)
    }
}

impl<K: Clone + Ord, V: Clone> SharedMap<K, V> {
    /// Puts a value in the place of the old one, which is returned.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (at_run, at) = self.find(&key);
        let runs = Arc::make_mut(&mut self.runs);
        let Some(run) = runs.get_mut(at_run) else {
            runs.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let entries = Arc::make_mut(run);
        let at = match at {
            Ok(at) => {
                let old = entries.get_mut(at).map(|(_, old)| old);
                return old.map(|old| std::mem::replace(old, value));
            }
            Err(at) => at,
        };
        self.len += 1;
        // Keys that come in order, as at the start, make full runs.
        if RUN <= entries.len() && at == entries.len() {
            runs.insert(at_run + 1, Arc::new(vec![(key, value)]));
            return None;
        }
        entries.insert(at, (key, value));
        if RUN < entries.len() {
            let rest = entries.split_off(RUN / 2);
            runs.insert(at_run + 1, Arc::new(rest));
        }
        None
    }

    /// Takes a key out; returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (at_run, Ok(at)) = self.find(key) else {
            return None;
        };
        let runs = Arc::make_mut(&mut self.runs);
        let entries = Arc::make_mut(runs.get_mut(at_run)?);
        let (_, value) = entries.remove(at);
        let is_empty = entries.is_empty();
        self.len -= 1;
        if is_empty {
            runs.remove(at_run);
        } else {
            join(runs, at_run);
            if let Some(before) = at_run.checked_sub(1) {
                join(runs, before);
            }
        }
        Some(value)
    }

    /// The value of a key, to be changed; made first if there is none.
    ///
    /// # Panics
    ///
    /// Never: by then there is one.
    pub fn entry(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        if !self.contains_key(key) {
            self.insert(key.clone(), V::default());
        }
        let (run, at) = self.find(key);
        Arc::make_mut(&mut self.runs)
            .get_mut(run)
            .map(Arc::make_mut)
            .and_then(|entries| entries.get_mut(at.ok()?))
            .map(|(_, value)| value)
            .expect("the key was found or has just been put in")
    }
}

/// Makes one run of two short neighbours, so that few entries do not lie in many
/// runs whatever was taken out before.
fn join<K: Clone, V: Clone>(runs: &mut Vec<Run<K, V>>, first: usize) {
    let are_short = runs
        .get(first)
        .zip(runs.get(first + 1))
        .is_some_and(|(run, next)| run.len() + next.len() <= RUN / 2);
    if are_short {
        let next = runs.remove(first + 1);
        if let Some(run) = runs.get_mut(first) {
            Arc::make_mut(run).extend(next.iter().cloned());
        }
    }
}

impl<K: Ord, V, Q: Ord + ?Sized> Index<&Q> for SharedMap<K, V>
where
    K: Borrow<Q>,
{
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("there is such a key")
    }
}

impl<K: Clone + Ord, V: Clone> Extend<(K, V)> for SharedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Clone + Ord, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Change {
        Insert(u16, u32),
        Remove(u16),
        Add(u16, u32),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        // Few keys, so that runs fill, split, empty and are joined again.
        let key = || 0u16..400;
        let change = prop_oneof![
            3 => (key(), any::<u32>()).prop_map(|(key, value)| Change::Insert(key, value)),
            2 => key().prop_map(Change::Remove),
            1 => (key(), 0u32..9).prop_map(|(key, value)| Change::Add(key, value)),
        ];
        prop::collection::vec(change, 0..1500)
    }

    fn check(map: &SharedMap<u16, u32>, plain: &BTreeMap<u16, u32>) {
        assert!(map.iter().eq(plain.iter()));
        assert!(map.iter().rev().eq(plain.iter().rev()));
        assert_eq!((map.len(), map.is_empty()), (plain.len(), plain.is_empty()));
        for key in 0..401 {
            assert_eq!(map.get(&key), plain.get(&key));
            assert_eq!(map.contains_key(&key), plain.contains_key(&key));
            assert!(map.from_where(&|other| *other < key).eq(plain.range(key..)));
        }
        assert!(
            map.runs
                .iter()
                .all(|run| !run.is_empty() && run.len() <= RUN)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// The standard library's map says what is right.
        #[test]
        fn it_is_a_sorted_map(changes in changes()) {
            let (mut map, mut plain) = (SharedMap::default(), BTreeMap::new());
            let mut held = Vec::new();
            for (index, change) in changes.into_iter().enumerate() {
                match change {
                    Change::Insert(key, value) => {
                        prop_assert_eq!(map.insert(key, value), plain.insert(key, value));
                    }
                    Change::Remove(key) => prop_assert_eq!(map.remove(&key), plain.remove(&key)),
                    Change::Add(key, value) => {
                        let (one, other) = (map.entry(&key), plain.entry(key).or_default());
                        *one = one.wrapping_add(value);
                        *other = other.wrapping_add(value);
                    }
                }
                if index % 300 == 0 {
                    held.push((map.clone(), plain.clone()));
                }
            }
            check(&map, &plain);
            // What was held while the map went on is as it was.
            for (older, plain_older) in &held {
                check(older, plain_older);
                let changed: BTreeSet<u16> =
                    map.changed_since(older, |a, b| a == b).into_iter().copied().collect();
                let all = plain.keys().chain(plain_older.keys()).copied();
                let searched: BTreeSet<u16> =
                    all.filter(|key| plain.get(key) != plain_older.get(key)).collect();
                prop_assert_eq!(changed, searched);
            }
        }
    }

    #[test]
    fn few_entries_do_not_lie_in_many_runs() {
        let mut map: SharedMap<u32, ()> = (0..10_000).map(|key| (key, ())).collect();
        assert!(map.runs.len() <= 10_000 / RUN + 1);
        for key in (0..10_000).filter(|key| key % 100 != 0) {
            map.remove(&key);
        }
        assert_eq!(map.len(), 100);
        assert!(map.runs.len() < 10, "{}", map.runs.len());
    }

    #[test]
    fn a_version_is_another_one_after_a_change() {
        let mut map: SharedMap<u32, ()> = (0..100).map(|key| (key, ())).collect();
        let before = map.clone();
        assert!(map.is_same_version(&before));
        map.remove(&5);
        assert!(!map.is_same_version(&before));
    }
}
