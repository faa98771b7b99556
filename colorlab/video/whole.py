"""Output that appears whole or not at all, under the name by which films' modules know it; `colorlab.whole` does it for all."""

from colorlab.whole import check_writable, whole

__all__ = ["check_writable", "whole"]
