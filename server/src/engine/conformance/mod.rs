//! The engine contract as tests that run on every engine. Each case is named after the behaviour it requires. Cases
//! that an engine cannot support are listed as ignored, with the reason.

mod appending;
mod keys;
mod lives;
mod reading;
mod subject;
mod trimming;

pub(super) use subject::{Kind, Subject, draft, name, texts};

/// Generates one test per case and engine. `surviving` cases need an engine that survives a restart.
macro_rules! conformance {
    (
        every: [$($room:ident::$case:ident),* $(,)?],
        surviving: [$($lasting:ident::$life:ident),* $(,)?],
    ) => {
        mod on_memory {
            use super::*;
            $(#[tokio::test] async fn $case() { $room::$case(Subject::open(Kind::Memory)).await; })*
            $(
                #[tokio::test]
                #[ignore = "the memory engine forgets when it ends"]
                async fn $life() { $lasting::$life(Subject::open(Kind::Memory)).await; }
            )*
        }
        mod on_embedded {
            use super::*;
            $(#[tokio::test] async fn $case() { $room::$case(Subject::open(Kind::Embedded)).await; })*
            $(#[tokio::test] async fn $life() { $lasting::$life(Subject::open(Kind::Embedded)).await; })*
        }
    };
}

conformance!(
    every: [
        appending::offsets_only_grow_over_all_channels,
        appending::the_tail_gets_everything_once_before_the_answer,
        appending::prev_is_the_channels_message_before,
        appending::every_body_comes_back_as_it_was,
        appending::many_publishers_at_once_lose_nothing,
        appending::a_publisher_that_gives_up_breaks_nothing,
        appending::a_closed_engine_takes_nothing,
        appending::closing_twice_is_harmless,
        appending::what_was_queued_before_the_close_is_stored,
        appending::the_expected_last_message_lets_it_in,
        appending::another_last_message_keeps_it_out,
        appending::nothing_can_be_expected_of_an_empty_channel,
        appending::any_message_can_be_expected,
        appending::of_many_that_expect_the_same_one_wins,
        appending::a_retry_is_not_held_to_its_expectation,
        appending::a_refused_message_leaves_no_trace,
        appending::times_are_the_wall_clocks,
        appending::cursors_of_this_life_continue,
        appending::cursors_of_elsewhere_do_not,
        keys::same_key_same_body_is_a_duplicate,
        keys::same_key_other_body_is_a_conflict,
        keys::text_and_json_differ_under_one_key,
        keys::keys_are_per_channel,
        keys::a_message_carries_its_key,
        keys::a_key_holds_for_ten_minutes,
        keys::and_is_forgotten_then,
        keys::a_duplicate_does_not_renew_it,
        keys::the_wall_clock_does_not_move_it,
        keys::of_many_at_once_one_is_stored,
        reading::it_is_complete_and_bounded,
        reading::bytes_bound_it_but_one_message_always_comes,
        reading::an_unknown_channel_is_empty,
        reading::it_ends_where_it_is_told,
        reading::past_the_end_is_nothing,
        reading::what_is_acknowledged_can_be_read,
        reading::while_others_append_there_is_no_hole,
        reading::newest_offsets,
        reading::channels_come_newest_first,
        reading::channels_are_bounded,
        reading::counting_is_bounded,
        trimming::within_the_bounds_nothing_goes,
        trimming::by_number_the_newest_stay,
        trimming::by_bytes_the_newest_stay,
        trimming::by_age_the_newest_stay,
        trimming::in_all_the_oldest_go_whatever_their_channel,
        trimming::a_channel_may_have_a_shorter_age,
        trimming::a_loud_channel_does_not_push_out_a_quiet_one,
        trimming::the_floor_is_the_last_that_went,
        trimming::prev_and_the_last_message_outlive_it,
        trimming::offsets_are_not_given_out_again,
        trimming::slices_are_bounded_and_appends_go_on_between_them,
        trimming::the_wall_clock_trims_nothing,
        trimming::a_channel_without_messages_is_not_listed,
        trimming::a_key_outlives_its_message,
    ],
    surviving: [
        lives::messages_keys_and_cursors_outlive_a_restart,
        lives::a_crash_loses_nothing_acknowledged,
        lives::offsets_are_not_reused_after_trimming_and_restart,
        lives::floors_outlive_a_restart,
        lives::time_between_two_lives_does_not_age_a_key,
        lives::what_is_too_much_is_dropped_after_a_restart_too,
        lives::ids_keep_the_life_they_were_made_in,
        lives::lives_without_messages_confuse_nobody,
        lives::readers_of_what_a_restored_copy_lost_are_told,
        lives::readers_of_what_it_kept_continue,
        lives::expectations_outlive_a_restart,
    ],
);
