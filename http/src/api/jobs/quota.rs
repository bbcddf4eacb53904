//! Quotas of uploads.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::options::Options;
use super::owners::Owner;
use crate::api::problem::Problem;

/// Uploads older than this count no more.
const DAY: Duration = Duration::from_hours(24);

/// The least bytes of an upload.
const MIN_FREE_BYTES: u64 = 1024;

/// The uploads of all owners, finished and under way.
#[derive(Debug, Default)]
pub(super) struct Quota {
    shares: HashMap<Owner, Share>,
    /// The bytes that uploads under way may still take.
    reserved: u64,
}

/// The uploads of one owner.
#[derive(Debug, Default)]
struct Share {
    /// Uploads under way, and the bytes that they may come to.
    uploading: usize,
    reserved: u64,
    /// The finished uploads of a day: when, and how many bytes.
    uploads: VecDeque<(Instant, u64)>,
}

impl Quota {
    /// Reserves room for an upload: how many bytes it may have. `of_owner` jobs of this owner and `waiting` of all are under
    /// way, and have `on_disk` bytes.
    ///
    /// # Errors
    ///
    /// 429 if the owner's share is used up, 503 if that of all is.
    pub(super) fn begin(
        &mut self,
        owner: &Owner,
        options: &Options,
        of_owner: usize,
        waiting: usize,
        on_disk: u64,
        now: Instant,
    ) -> Result<u64, Problem> {
        let uploading: usize = self.shares.values().map(|share| share.uploading).sum();
        let this = self.shares.entry(owner.clone()).or_default();
        while this.uploads.front().is_some_and(|(when, _)| now.duration_since(*when) >= DAY) {
            this.uploads.pop_front();
        }
        if this.uploading + of_owner >= options.jobs_of_token {
            let hint = "wait until one has ended, or DELETE one";
            let most = options.jobs_of_token;
            return Err(Problem::new(429, format!("{most} uploads are under way already")).hint(hint).retry_after(10));
        }
        let today: u64 = this.uploads.iter().map(|(_, bytes)| bytes).sum();
        let left = options.bytes_of_token.saturating_sub(today + this.reserved);
        if left < MIN_FREE_BYTES {
            let most = options.bytes_of_token;
            let first =
                this.uploads.front().map_or(Duration::ZERO, |(when, _)| DAY.saturating_sub(now.duration_since(*when)));
            return Err(Problem::new(429, format!("the {most} bytes of a day are used up"))
                .hint("some are free again when the first upload is a day old")
                .retry_after(first.as_secs().max(60)));
        }
        if waiting + uploading >= options.queue {
            let error = format!("{} uploads wait already", options.queue);
            return Err(Problem::new(503, error).hint("try again later").retry_after(60));
        }
        let limit = options.upload.min(left);
        if self.reserved + on_disk + limit > options.disk {
            return Err(Problem::new(503, "uploads under way take all room that they may")
                .hint("try again later")
                .retry_after(60));
        }
        this.uploading += 1;
        this.reserved += limit;
        self.reserved += limit;
        Ok(limit)
    }

    /// An upload of at most `limit` bytes has ended, and `bytes` were saved.
    pub(super) fn end(&mut self, owner: &Owner, limit: u64, bytes: u64, now: Instant) {
        self.reserved = self.reserved.saturating_sub(limit);
        let this = self.shares.entry(owner.clone()).or_default();
        this.uploading = this.uploading.saturating_sub(1);
        this.reserved = this.reserved.saturating_sub(limit);
        if bytes > 0 {
            this.uploads.push_back((now, bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let mut options = Options::of("qualm");
        (options.jobs_of_token, options.queue) = (2, 3);
        (options.bytes_of_token, options.upload, options.disk) = (10_000, 6_000, 20_000);
        options
    }

    #[test]
    fn each_has_their_share() {
        let (options, now, mut quota) = (options(), Instant::now(), Quota::default());
        let status = |result: Result<u64, Problem>| result.map_err(|problem| problem.status);
        let [a, b] = ["\"a\"", "\"b\""].map(|owner| serde_json::from_str::<Owner>(owner).unwrap());
        assert_eq!(status(quota.begin(&a, &options, 0, 0, 0, now)), Ok(6_000));
        assert_eq!(status(quota.begin(&a, &options, 0, 0, 0, now)), Ok(4_000), "what is left of the day");
        assert_eq!(status(quota.begin(&a, &options, 0, 0, 0, now)), Err(429), "two at once");
        quota.end(&a, 4_000, 4_000, now);
        quota.end(&a, 6_000, 6_000, now);
        let problem = quota.begin(&a, &options, 0, 0, 0, now).unwrap_err();
        assert_eq!((problem.status, problem.retry_after), (429, Some(DAY.as_secs())), "{problem}");
        assert_eq!(status(quota.begin(&a, &options, 0, 0, 0, now + DAY)), Ok(6_000));
        assert_eq!(status(quota.begin(&b, &options, 2, 0, 0, now)), Err(429));
        assert_eq!(status(quota.begin(&b, &options, 0, 2, 0, now)), Err(503), "the queue is full");
        assert_eq!(status(quota.begin(&b, &options, 0, 0, 9_000, now)), Err(503), "the disk is full");
        assert_eq!(status(quota.begin(&b, &options, 0, 0, 8_000, now)), Ok(6_000));
    }
}
