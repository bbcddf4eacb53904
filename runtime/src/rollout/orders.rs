//! Commands for a running pipeline. They wait in a bounded channel, which it looks at between batches.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use super::report::Entry;

/// Commands that may wait.
const MOST_WAITING: usize = 4;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Say which models there are.
    List,
    /// Let the candidate of a detector take over; of the only one that has any, without a name.
    Promote(Option<String>),
    /// Give up the candidate of a detector, or go back to the model before; likewise.
    RollBack(Option<String>),
}

/// What a pipeline did.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The detectors that have models.
    Models(Vec<Entry>),
    /// It was done: of this detector, this.
    Done {
        /// The detector.
        detector: String,
        /// What was done.
        what: String,
    },
    /// It was not done.
    Refused(Refusal),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No detector has this name, and a model.
    #[error("no detector with a model is called `{name}`; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// There is nothing to promote, or to roll back.
    #[error("{0}")]
    Nothing(String),
    /// Several detectors could be meant.
    #[error("name one of these detectors: {0}")]
    Several(String),
}

/// Why there is no answer. The command is not carried out later either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Too many commands wait.
    #[error("too many commands wait for this pipeline; try again")]
    Busy,
    /// It took too long.
    #[error("the pipeline had no time for it; try again")]
    Late,
    /// There is no pipeline any more.
    #[error("the pipeline has ended")]
    Ended,
}

/// A command on its way.
#[derive(Debug)]
struct Order {
    command: Command,
    until: Instant,
    answer: SyncSender<Answer>,
}

/// Gives commands to a pipeline.
#[derive(Debug, Clone)]
pub struct Commander(SyncSender<Order>);

/// Where a pipeline gets its commands from.
#[derive(Debug)]
pub struct Orders(Receiver<Order>);

/// A channel for commands.
#[must_use]
pub fn channel() -> (Commander, Orders) {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    (Commander(sender), Orders(receiver))
}

impl Commander {
    /// Has a command carried out between two batches, and waits for the answer.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn ask(&self, command: Command, timeout: Duration) -> Result<Answer, Unanswered> {
        let (answer, answered) = sync_channel(1);
        self.0.try_send(Order { command, until: Instant::now() + timeout, answer }).map_err(|error| match error {
            TrySendError::Full(_) => Unanswered::Busy,
            TrySendError::Disconnected(_) => Unanswered::Ended,
        })?;
        // It is carried out within the timeout or not at all; the answer may come a moment later.
        answered.recv_timeout(timeout * 2).map_err(|_| Unanswered::Late)
    }
}

impl Orders {
    /// Carries out a command, if one waits.
    pub(crate) fn obey(&self, carry_out: impl FnOnce(&Command) -> Answer) {
        match self.0.try_recv() {
            Ok(Order { command, until, answer }) if Instant::now() < until => {
                // Nobody may wait for the answer any more.
                let _disconnected = answer.try_send(carry_out(&command));
            }
            Ok(_) | Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_command_is_carried_out_by_whoever_looks() {
        let (commander, orders) = channel();
        let asked = thread::spawn(move || commander.ask(Command::List, Duration::from_secs(10)));
        while !asked.is_finished() {
            orders.obey(|command| {
                assert_eq!(*command, Command::List);
                Answer::Models(Vec::new())
            });
        }
        assert_eq!(asked.join().unwrap(), Ok(Answer::Models(Vec::new())));
    }

    #[test]
    fn what_was_not_carried_out_in_time_never_is() {
        let (commander, orders) = channel();
        assert_eq!(commander.ask(Command::Promote(None), Duration::from_millis(1)), Err(Unanswered::Late));
        orders.obey(|_| unreachable!("its time is over"));
        for _ in 0..MOST_WAITING {
            assert_eq!(commander.ask(Command::List, Duration::ZERO), Err(Unanswered::Late));
        }
        assert_eq!(commander.ask(Command::List, Duration::ZERO), Err(Unanswered::Busy));
        drop(orders);
        assert_eq!(commander.ask(Command::List, Duration::ZERO), Err(Unanswered::Ended));
    }
}
