"""Queues are looked into when something was committed, and now and then."""

import inspect

from dbos import _queue

from headgate.jobs.polling import QuietLooks


def test_queue_is_looked_into_once_per_commit() -> None:
    versions = iter([1, 1, 2, 2, 2])
    looks = QuietLooks(lambda: next(versions), patience_s=60)
    assert [looks.is_due("sync") for _ in range(4)] == [True, False, True, False]
    assert looks.is_due("publish"), "each queue has its own"


def test_queue_is_looked_into_all_the_same_after_a_while() -> None:
    looks = QuietLooks(lambda: 1, patience_s=0)
    assert [looks.is_due("sync") for _ in range(3)] == [True] * 3


def test_queue_threads_ask_what_is_answered_for_them() -> None:
    asked = inspect.getsource(_queue.queue_worker_thread)
    assert "dbos._sys_db.dequeue_scopes(queue.name)" in asked
    assert "dbos._sys_db.get_queue(queue.name)" in asked
