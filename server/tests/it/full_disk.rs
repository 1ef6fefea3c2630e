//! Tests a full disk with a small file system. Skipped where the test has no right to mount one.

use super::support::{Baro, bodies, refusal};
use std::{path::Path, process::Command};

/// A mounted tmpfs. Dropping it unmounts it.
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
        // A lazy unmount, because the server may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn publishing_stops_reading_goes_on_and_publishing_resumes_by_itself() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(place.path(), "size=3m") else {
        println!("skipped: this test needs the right to mount a file system");
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
        assert!(stored < 100, "the disk is never full");
    }
    let refused = refusal(baro.post("/c/a", "x".repeat(300_000))).await;
    assert_eq!(refused, (507, "store-full".into()));
    assert_eq!(
        bodies(&baro.json("/c/a?last=100").await).len(),
        stored,
        "reading continues, and no refused message is stored"
    );
    for _ in 0..stored {
        live.message().await;
    }
    disk.grow("50m");
    let id = baro.post("/c/a", "x".repeat(300_000)).send().await.unwrap();
    assert_eq!(id.status(), 201, "publishing resumes without a restart");
    live.message().await;
    baro.stop().await;
}
