//! The mutex of this crate.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A mutex that ignores poison: a panic in one task must not end every other task that needs the value. Each holder
/// leaves the value valid at every point where it could panic, and nothing waits while it holds the guard.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a holder panicked. Nothing depends on it; looking fetches the memory of the lock.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }

    /// Returns `None` while another thread holds the guard.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
