"""The handlers of the terminal's output."""
import logging

from mmdistill import terminal


def test_a_command_within_a_command_prints_each_line_once(capsys):
    """As in a process that a command forked."""
    logger, before = logging.getLogger('mmdistill'), list(logging.getLogger('mmdistill').handlers)
    with terminal.quiet():
        with terminal.quiet():
            logger.warning('of the inner one')
        logger.warning('of the outer one')
    assert capsys.readouterr().out == 'warning: of the inner one\nwarning: of the outer one\n'
    assert logger.handlers == before
