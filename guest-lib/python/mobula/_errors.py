"""What goes wrong, as exceptions; and the codes of calls that did not return."""

#: Return codes of calls that did not return by themselves, as `mobula_guest::abi` has them.
TRAPPED, TIMED_OUT, REFUSED = -101, -102, -103

_REASONS = {
    TRAPPED: "trapped",
    TIMED_OUT: "ran out of time",
    REFUSED: "was refused before it started",
}


class Error(RuntimeError):
    """A request that was refused. The message names the function, the key and the numbers."""


class CallError(Error):
    """A chained call that failed.

    `code` is what its entry returned (never 0; negative when it did not return). The traceback of
    the call itself is on its stderr.
    """

    def __init__(self, what, code, reason=""):
        if not reason:
            reason = _REASONS.get(code, f"returned {code}")
        super().__init__(f"{what}: {reason}")
        self.code = code


# As programs know them, and tracebacks should show them.
Error.__module__ = CallError.__module__ = "mobula"
