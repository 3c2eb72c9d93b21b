"""The library's messages reach the user of a command, once."""

import logging

import pytest

from gsrecon.cli.messages import show_messages


@pytest.fixture(autouse=True)
def _as_it_was():
    log = logging.getLogger("gsrecon")
    handlers, level = list(log.handlers), log.level
    log.handlers.clear()
    yield
    log.handlers[:] = handlers
    log.setLevel(level)


def test_warnings_say_so_and_progress_is_plain(capsys):
    show_messages()
    show_messages()
    logging.getLogger("gsrecon.data.images").info("features, %d %%", 20)
    logging.getLogger("gsrecon.data.images").warning("the scale is a guess")
    logging.getLogger("gsrecon.data.images").debug("nobody asked")
    assert capsys.readouterr().err == "features, 20 %\nwarning: the scale is a guess\n"


def test_the_library_alone_shows_no_progress(capsys):
    logging.getLogger("gsrecon.data.images").info("features, %d %%", 20)
    assert capsys.readouterr() == ("", "")
