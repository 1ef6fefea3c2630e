//! Tests both engines against a small model with random histories: appends with keys and expectations, trims, passing
//! time, changes of the wall clock, restarts and crashes. The engine must do what the model predicts.

use super::{
    AppendError, Draft, Retention,
    conformance::{Kind, Subject, draft, name, texts},
};
use crate::limits::KEY_WINDOW;
use app::wire::{Id, headers::Expected};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use std::{collections::HashMap, time::Duration};

const CHANNELS: [&str; 3] = ["a", "b", "온실"];
/// Small, so that random histories exceed it.
const KEPT: usize = 6;
const AGE: u64 = 3600;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Append {
        channel: usize,
        text: u8,
        key: Option<u8>,
        expects: Option<Expects>,
    },
    Trim,
    /// This many seconds pass.
    Pass(u64),
    /// The wall clock is changed by this many seconds.
    Set(i64),
    Restart,
    Crash,
}

#[derive(Clone, Copy, Debug)]
enum Expects {
    Last,
    First,
    Any,
}

/// The outcome of an append. The numbers are indices into the model's log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Stored,
    Duplicate(usize),
    Conflict,
    NotLast(Option<usize>),
}

#[derive(Clone, Debug)]
struct Entry {
    channel: usize,
    text: String,
    wall: i64,
    kept: bool,
}

#[derive(Clone, Debug, Default)]
struct Model {
    log: Vec<Entry>,
    keys: HashMap<(usize, u8), (usize, u64)>,
    wall: i64,
    steady: u64,
    /// Wall time and steady time of the last start.
    begun: (i64, u64),
    /// Steady time of the last commit.
    committed: u64,
    outcome: Option<Outcome>,
    /// Number of entries dispatched before the last start.
    earlier: usize,
}

impl Model {
    fn of(&self, channel: usize) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.log.len()).filter(move |at| self.log[*at].channel == channel)
    }

    fn append(&mut self, channel: usize, text: u8, key: Option<u8>, expects: Option<Expects>) -> Outcome {
        let text = text.to_string();
        let used = key.and_then(|key| self.keys.get(&(channel, key)).copied());
        if let Some((at, when)) = used
            && self.steady - when < KEY_WINDOW.as_secs()
        {
            let same = self.log[at].text == text;
            return if same { Outcome::Duplicate(at) } else { Outcome::Conflict };
        }
        let (first, last) = (self.of(channel).next(), self.of(channel).last());
        let fits = match expects {
            None => true,
            Some(Expects::Any | Expects::Last) => last.is_some(),
            Some(Expects::First) => last.is_some() && first == last,
        };
        if !fits {
            return Outcome::NotLast(last);
        }
        if let Some(key) = key {
            self.keys.insert((channel, key), (self.log.len(), self.steady));
        }
        self.log.push(Entry { channel, text, wall: self.wall, kept: true });
        Outcome::Stored
    }

    fn trim(&mut self) {
        for channel in 0..CHANNELS.len() {
            let kept: Vec<_> = self.of(channel).filter(|at| self.log[*at].kept).collect();
            for at in &kept[..kept.len().saturating_sub(KEPT)] {
                self.log[*at].kept = false;
            }
        }
        let (wall, steady) = self.begun;
        let too_old = wall + i64::try_from(self.steady - steady).unwrap() - i64::try_from(AGE).unwrap();
        for entry in self.log.iter_mut().filter(|entry| entry.kept) {
            if entry.wall >= too_old {
                break;
            }
            entry.kept = false;
        }
    }

    fn start(&mut self) {
        // Keys do not age between the last commit and the restart: the store records the steady time with each commit.
        let unseen = self.steady - self.committed;
        for (_, when) in self.keys.values_mut() {
            *when += unseen;
        }
        self.committed = self.steady;
        self.begun = (self.wall, self.steady);
        self.earlier = self.log.len();
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let expects = prop_oneof![Just(Expects::Last), Just(Expects::First), Just(Expects::Any)];
        let append =
            (0..CHANNELS.len(), 0..3u8, proptest::option::of(0..3u8), proptest::option::weighted(0.3, expects))
                .prop_map(|(channel, text, key, expects)| Step::Append { channel, text, key, expects });
        prop_oneof![
            20 => append,
            2 => Just(Step::Trim),
            2 => (1..1500u64).prop_map(Step::Pass),
            1 => (-100_000..100_000i64).prop_map(Step::Set),
            1 => Just(Step::Restart),
            1 => Just(Step::Crash),
        ]
        .boxed()
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        model.outcome = None;
        match step {
            Step::Append { channel, text, key, expects } => {
                model.committed = model.steady;
                model.outcome = Some(model.append(*channel, *text, *key, *expects));
            }
            Step::Trim => model.trim(),
            Step::Pass(seconds) => {
                model.steady += seconds;
                model.wall += i64::try_from(*seconds).unwrap();
            }
            Step::Set(seconds) => model.wall += seconds,
            Step::Restart | Step::Crash => model.start(),
        }
        model
    }
}

/// An engine under test with the ids it assigned, indexed like the model's log.
struct Tested {
    runtime: tokio::runtime::Runtime,
    subject: Option<Subject>,
    ids: Vec<Id>,
}

impl Tested {
    fn open(kind: Kind) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let age = Some(Duration::from_secs(AGE));
        let retention = Retention { messages: KEPT as u64, age, ..Retention::default() };
        let subject = runtime.block_on(Subject::open(kind).keeping(retention));
        Self { runtime, subject: Some(subject), ids: Vec::new() }
    }

    fn on(&self) -> &Subject {
        self.subject.as_ref().expect("a subject exists between steps")
    }

    fn step(&mut self, model: &Model, step: &Step) {
        match step {
            Step::Append { channel, text, key, expects } => self.append(model, *channel, *text, *key, *expects),
            Step::Trim => drop(self.runtime.block_on(self.on().trim())),
            Step::Pass(seconds) => self.on().hands.pass(Duration::from_secs(*seconds)),
            Step::Set(seconds) => self.on().hands.set_wall_by(*seconds),
            Step::Restart => self.replace(|runtime, subject| runtime.block_on(subject.restart())),
            Step::Crash => self.replace(|_, subject| subject.crash()),
        }
    }

    fn replace(&mut self, with: impl FnOnce(&tokio::runtime::Runtime, Subject) -> Subject) {
        let old = self.subject.take().expect("a subject exists between steps");
        self.subject = Some(with(&self.runtime, old));
    }

    fn append(&mut self, model: &Model, channel: usize, text: u8, key: Option<u8>, expects: Option<Expects>) {
        let known: Vec<_> = model.of(channel).filter(|at| *at < self.ids.len()).map(|at| self.ids[at]).collect();
        let expected = expects.map(|expects| match (expects, known.first(), known.last()) {
            (Expects::First, Some(id), _) | (Expects::Last, _, Some(id)) => Expected::Last(*id),
            _ => Expected::Any,
        });
        let key = key.map(|key| key.to_string());
        let draft = Box::new(Draft { expected, ..*draft(CHANNELS[channel], &text.to_string(), key.as_deref()) });
        let outcome = match self.runtime.block_on(self.on().engine.append(draft)) {
            Ok(appended) if appended.duplicate => Outcome::Duplicate(self.place(appended.id)),
            Ok(appended) => {
                assert!(self.ids.last().is_none_or(|last| last.offset < appended.id.offset));
                self.ids.push(appended.id);
                Outcome::Stored
            }
            Err(AppendError::KeyConflict) => Outcome::Conflict,
            Err(AppendError::NotLast(last)) => Outcome::NotLast(last.map(|id| self.place(id))),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(Some(outcome), model.outcome);
    }

    fn place(&self, id: Id) -> usize {
        self.ids.iter().position(|known| *known == id).expect("the engine assigned this id earlier")
    }

    fn check(&self, model: &Model) {
        let on = self.on();
        for (channel, text) in CHANNELS.iter().enumerate() {
            let kept: Vec<_> = model.of(channel).filter(|at| model.log[*at].kept).collect();
            let slice = self.runtime.block_on(on.read(text, 0, 1000));
            assert_eq!(texts(&slice), kept.iter().map(|at| model.log[*at].text.clone()).collect::<Vec<_>>());
            for (stored, at) in slice.messages.iter().zip(&kept) {
                let prev = model.of(channel).take_while(|before| before < at).last();
                assert_eq!(stored.message.id, self.ids[*at]);
                assert_eq!(stored.message.prev, prev.map(|at| self.ids[at]));
            }
            let gone = model.of(channel).rfind(|at| !model.log[*at].kept);
            assert_eq!(slice.floor, gone.map_or(0, |at| self.ids[at].offset));
            let count = self.runtime.block_on(on.engine.count(name(text), 0, u64::MAX, 1000)).unwrap();
            assert_eq!(count as usize, kept.len());
        }
        let dispatched: Vec<_> = on.journal.all().iter().map(|stored| stored.message.id).collect();
        assert_eq!(dispatched, self.ids[model.earlier..], "the dispatcher got each message since the start, in order");
    }
}

/// Connects an engine to the model. `$lives` is the reference machine: the memory engine cannot restart.
macro_rules! test_of {
    ($name:ident, $kind:expr, $lives:ty) => {
        struct $name;

        impl StateMachineTest for $name {
            type SystemUnderTest = Tested;
            type Reference = $lives;

            fn init_test(_: &Model) -> Tested {
                Tested::open($kind)
            }

            fn apply(mut tested: Tested, model: &Model, step: Step) -> Tested {
                tested.step(model, &step);
                tested
            }

            fn check_invariants(tested: &Tested, model: &Model) {
                tested.check(model);
            }
        }
    };
}

/// The model without restarts and crashes, for the memory engine.
struct OneLife;

impl ReferenceStateMachine for OneLife {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Model::init_state()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Step> {
        let all = Model::transitions(model);
        all.prop_filter("one life", |step| !matches!(step, Step::Restart | Step::Crash)).boxed()
    }

    fn apply(model: Model, step: &Step) -> Model {
        Model::apply(model, step)
    }
}

test_of!(MemoryEngine, Kind::Memory, OneLife);
test_of!(EmbeddedEngine, Kind::Embedded, Model);

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_memory_engine_does_what_the_model_says(sequential 1..80 => MemoryEngine);

    #[test]
    fn the_embedded_engine_does_what_the_model_says(sequential 1..80 => EmbeddedEngine);
}
