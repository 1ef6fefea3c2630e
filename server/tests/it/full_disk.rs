//! A disk that is really full: a small file system of its own, where the tests may make one.

use super::support::{Baro, bodies, refusal};
use std::{path::Path, process::Command};

/// Ends with the test.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).stderr(std::process::Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily: the server still has its files open.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn publishing_stops_reading_goes_on_and_publishing_resumes_by_itself() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(place.path(), "size=3m") else {
        println!("skipped: a_full_disk needs the right to mount a file system");
        return;
    };
    let baro = Baro::start_in(tempfile::tempdir_in(place.path()).unwrap(), &[]).await;
    let mut live = baro.events("/c/a", None).await;
    let mut stored = 0;
    loop {
        let answer = baro.post("/c/a", "x".repeat(300_000)).send().await.unwrap();
        if answer.status() != 201 {
            break;
        }
        stored += 1;
    }
    let refused = refusal(baro.post("/c/a", "x".repeat(300_000))).await;
    assert_eq!(refused, (507, "store-full".into()));
    assert_eq!(bodies(&baro.json("/c/a?last=100").await).len(), stored, "reading goes on, and nothing half stored");
    for _ in 0..stored {
        live.message().await;
    }
    disk.grow("50m");
    let id = baro.post("/c/a", "x".repeat(300_000)).send().await.unwrap();
    assert_eq!(id.status(), 201, "nobody had to do anything");
    live.message().await;
    baro.stop().await;
}
