"""Damaged and foreign input of every kind ends in success or in one line and exit code 2: never a traceback,
a hang, or half a file.

A sample; `python tests/attacks/fuzz.py --count 1000` does as many as one likes.
"""

import pytest
from attacks.mutations import attack, subjects

COUNT = 60  # all kinds of files, twice or more


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "home"


@pytest.fixture(scope="module")
def targets(home):
    return subjects(home)


@pytest.mark.skipif("not hasattr(__import__('signal'), 'SIGALRM')")
@pytest.mark.parametrize("number", range(COUNT))
def test_damaged_input_is_used_or_refused(number, home, targets, tmp_path):
    subject = targets[number % len(targets)]
    assert attack(subject, number, home, tmp_path / "work") is None, f"{subject.name}, mutation {number}"
