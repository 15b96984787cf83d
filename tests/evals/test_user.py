"""The user of a task: which questions they answer, and with what."""

from kallyai_mcp.evals.task_files import Expectation, Reply, Step, Task
from kallyai_mcp.evals.user import User

OTHERWISE = "Do what you think is best."


def user(*replies: Reply) -> User:
    task = Task(
        id="a-task",
        suite="errands",
        theme="book",
        phrasings=("one", "two", "three"),
        reply=replies,
        otherwise=OTHERWISE,
        expect=Expectation(),
        gold=(Step(says="Done."),),
    )
    return User(task)


NAME = Reply(id="name", when="which name", says="Robin")


def test_a_statement_gets_no_reply() -> None:
    assert user(NAME).reply_to("I used the name Ada.", None, 0) is None


def test_a_question_gets_its_fitting_reply_once() -> None:
    someone = user(NAME)

    assert someone.reply_to("Which name shall I use?", None, 2) == "Robin"
    assert [(reply.id, reply.calls_before) for reply in someone.given] == [("name", 2)]
    assert someone.reply_to("Which name was it?", "Booked: …", 2) is None


def test_other_questions_are_left_to_the_agent() -> None:
    assert user(NAME).reply_to("Inside or outside?", None, 0) == OTHERWISE


def test_a_question_after_the_outcome_ends_the_conversation() -> None:
    assert user(NAME).reply_to("Booked. Anything else?", "Booked: table for 4", 1) is None


def test_the_servers_question_goes_to_the_user() -> None:
    waits = 'If they agree: make_call with the same arguments and confirmation "abc"'

    assert user(NAME).reply_to("Shall I call at night?", waits, 0) == OTHERWISE
