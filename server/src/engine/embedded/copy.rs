//! Backup of the store into one file, and restore from it.

use super::{STORE, lock, schema};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no store to copy.
    #[error("there is no store at {0}; say with --data where it is")]
    NoStore(PathBuf),
    /// The target exists; a backup overwrites nothing.
    #[error("{0} is there already; choose another name or move it away")]
    Exists(PathBuf),
    /// The file is not a copy that `backup` made.
    #[error("{file} is not a whole copy of a store: {why}")]
    NotAStore {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The folder is in use, or a newer Baro made the copy.
    #[error(transparent)]
    Open(#[from] schema::OpenError),
    /// SQLite failed.
    #[error("the store cannot be copied: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The disk failed.
    #[error("the copy cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Copies the store of a data folder, as it is at this moment, into a new file. A server may keep writing meanwhile.
/// `progress` receives the number of bytes written and an estimate of the total.
///
/// # Errors
/// Returns an error if there is no store, the file already exists, or the disk is full.
pub fn backup(folder: &Path, file: &Path, progress: impl Fn(u64, u64) + Sync) -> Result<(), CopyError> {
    let store = folder.join(STORE);
    if !store.exists() {
        return Err(CopyError::NoStore(store));
    }
    if file.exists() {
        return Err(CopyError::Exists(file.to_owned()));
    }
    // Written under another name until it is complete: an interrupted backup must not look like a backup.
    let part = with_ending(file, ".part");
    let _ = fs::remove_file(&part);
    // VACUUM INTO runs in one read transaction: it copies everything committed before it and nothing later. The
    // connection is not read-only, because the last connection to close a store checkpoints its write-ahead log.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&store, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    let whole = pages(&connection)?;
    let written = part.clone();
    let copied = watch(whole, &progress, &written, || connection.execute("VACUUM INTO ?1", [text(&part)?]));
    if let Err(error) = copied {
        let _ = fs::remove_file(&part);
        return Err(error.into());
    }
    File::open(&part)?.sync_all()?;
    fs::rename(&part, file)?;
    sync_folder_of(file)?;
    let size = fs::metadata(file)?.len();
    progress(size, size);
    Ok(())
}

/// Replaces the store of a data folder with a copy. A store that was there is kept in the same folder under a new name,
/// which is returned.
///
/// # Errors
/// Returns an error if a server uses the folder or the file is not a complete copy.
pub fn restore(folder: &Path, file: &Path) -> Result<Option<PathBuf>, CopyError> {
    fs::create_dir_all(folder)?;
    let _lock = lock(folder)?;
    check(file)?;
    let store = folder.join(STORE);
    let part = with_ending(&store, ".part");
    fs::copy(file, &part)?;
    File::open(&part)?.sync_all()?;
    let before = store.exists().then(|| put_aside(folder)).transpose()?;
    fs::rename(&part, &store)?;
    sync_folder_of(&store)?;
    Ok(before)
}

/// Rejects a damaged or foreign file before it replaces the store.
fn check(file: &Path) -> Result<(), CopyError> {
    let not = |why: String| CopyError::NotAStore { file: file.to_owned(), why };
    if !file.is_file() {
        return Err(not("there is no such file".into()));
    }
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = schema::version(&connection).map_err(|error| not(error.to_string()))?;
    if version > schema::VERSION {
        return Err(schema::OpenError::Newer { found: version }.into());
    }
    schema::epochs(&connection).map_err(|error| not(error.to_string()))?;
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| not(error.to_string()))?;
    if verdict == "ok" { Ok(()) } else { Err(not(verdict)) }
}

/// Renames the present store to a free name, together with its write-ahead log, if one is left.
fn put_aside(folder: &Path) -> io::Result<PathBuf> {
    let free = (1..).map(|n| folder.join(format!("before-restore-{n}.db"))).find(|path| !path.exists());
    let aside = free.expect("some number is free");
    for ending in ["-wal", "-shm"] {
        let from = with_ending(&folder.join(STORE), ending);
        if from.exists() {
            fs::rename(&from, with_ending(&aside, ending))?;
        }
    }
    fs::rename(folder.join(STORE), &aside)?;
    Ok(aside)
}

/// Runs `work` and reports its progress by the size of the file it writes.
fn watch<T: Send>(
    whole: u64,
    progress: &(impl Fn(u64, u64) + Sync),
    file: &Path,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let (done, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) =
                ended.recv_timeout(std::time::Duration::from_secs(1))
            {
                progress(fs::metadata(file).map(|file| file.len()).unwrap_or(0).min(whole), whole);
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Bytes of the store without its free pages.
fn pages(connection: &Connection) -> rusqlite::Result<u64> {
    let get = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok(get("page_count")?.saturating_sub(get("freelist_count")?) * get("page_size")?)
}

fn text(path: &Path) -> rusqlite::Result<&str> {
    path.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Flushes the file's folder: a rename is durable only after that.
fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
