//! The hash map for lookups on hot paths: once per message or per poll.

/// A fast hash with a random seed per process: clients choose the keys and must not be able to make them collide.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::quality::RandomState>;
