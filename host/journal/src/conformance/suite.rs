//! The list of the rules.

/// Makes a test of each rule of [`conformance`](mod@crate::conformance). `$open` is an async function that returns the storage to keep and a
/// journal on it, both new. The tests need `tokio` with its macros.
#[macro_export]
macro_rules! conformance {
    ($open:path; $($rule:ident)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                let (_storage, journal) = $open().await;
                $crate::conformance::$rule(journal).await;
            }
        )*
    };
    ($open:path) => {
        $crate::conformance! {
            $open;
            a_log_reads_back_as_it_was_appended
            appends_of_one_room_are_stored_in_the_order_of_the_calls
            an_append_that_expects_another_head_is_a_conflict
            a_batch_that_landed_is_committed_when_it_is_appended_again
            no_event_of_an_author_is_skipped
            rooms_are_begun_once_and_listed
            a_room_may_have_the_genesis_of_another
            a_staged_room_is_found_when_it_is_published
            a_staged_room_can_be_discarded_and_no_other
            a_log_may_begin_after_its_first_event
            a_trimmed_log_begins_at_its_snapshot
            a_room_that_is_held_is_not_trimmed
            a_room_runs_the_build_of_its_last_upgrade
            a_log_is_trimmed_only_where_a_snapshot_and_a_record_meet
            a_room_begins_with_the_alarm_of_its_first_state
            alarms_are_kept_with_the_records_that_set_them
            rooms_where_somebody_is_present_are_noted
            rejections_are_counted_by_author_and_kind
            rejections_have_a_bound
            snapshots_are_found_at_or_below_a_seq
            snapshots_of_another_log_are_refused
            a_large_snapshot_reads_back
            the_bytes_that_a_room_is_opened_from_are_known
            components_and_machines_are_kept
            retention_is_kept_until_it_is_changed
            a_backup_refuses_a_file_that_is_there
        }
    };
}
