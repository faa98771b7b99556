"""The error and the warning meant for users: one line that says what is wrong and what to do about it."""


class InputError(ValueError):
    """Something given by the user cannot be used; the command line prints it as one line and exits with 2."""


class InputWarning(UserWarning):
    """Something given by the user is used differently from what they may expect; the command line prints it
    as one line and continues."""
