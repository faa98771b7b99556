"""The ways to set colorlab up say the same thing, and what they say can be installed for years."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDS = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
CONSTRAINTS = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
]


def same(requirement: str) -> tuple[str, str]:
    parsed = Requirement(requirement)
    return parsed.name.lower().replace("_", "-"), str(parsed.specifier)


def test_conda_and_pip_install_the_same():
    listed = next(entry["pip"] for entry in CONDA if isinstance(entry, dict))
    assert listed[-1] == "-e ."
    assert sorted(map(same, listed[:-1])) == sorted(map(same, NEEDS))


def test_conda_asks_for_the_same_python():
    assert f"python{PROJECT['requires-python']}" in CONDA


@pytest.mark.parametrize("requirement", NEEDS)
def test_each_need_has_a_floor_and_no_ceiling(requirement):
    operators = {specifier.operator for specifier in Requirement(requirement).specifier}
    assert operators == {">="}


def test_the_tested_set_is_exact_versions_without_addresses_or_builds():
    assert [line for line in CONSTRAINTS
            if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_the_tested_set_covers_each_need_and_satisfies_it():
    tested = {same(line)[0]: line.partition("==")[2] for line in CONSTRAINTS}
    unmet = [
        need for need in NEEDS if not Requirement(need).specifier.contains(tested.get(same(need)[0], "0"))
    ]
    assert unmet == []


def test_the_tested_set_leaves_what_torch_brings_to_torch():
    assert [line for line in CONSTRAINTS if line.startswith(("nvidia", "cuda", "triton"))] == []
