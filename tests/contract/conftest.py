"""The contract's asserts explain themselves as those of the tests do."""

import pytest

pytest.register_assert_rewrite(
    "cdc.testing.contract",
    "cdc.testing.contract_copies",
    "cdc.testing.contract_rows",
    "cdc.testing.targets",
    "cdc.testing.transport_contract",
    "cdc.testing.transports",
)
