"""The one error, and the one warning, that a person is meant to read: a line that says what is wrong and what
to do about it."""


class InputError(ValueError):
    """Something given by the user cannot be used; the command line prints it as one line and exits with 2."""


class InputWarning(UserWarning):
    """Something given by the user is used otherwise than they may expect; the command line prints it as one
    line and goes on."""
