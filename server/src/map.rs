//! The maps of whatever is looked up for each message and each poll.

/// Hashes fast, and differently in each process: the names in them are anybody's choice.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::quality::RandomState>;
