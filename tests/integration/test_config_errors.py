# SPDX-License-Identifier: MIT
"""Errors of configuration: collectd does not start, and says all that is wrong
at once, each with block, option, value and what is allowed."""

import pytest

BLOCKS = {"rabbitmq_publish": "Publish", "rabbitmq_consume": "Subscribe",
          "rabbitmq_monitor": "Cluster"}


def refused(rig, module, *inner):
    """Runs a configuration that must not start; returns its error lines."""
    text = "\n".join([f"<Plugin {module}>", *inner, "</Plugin>"])
    a = rig.daemon("A", [module], text)
    status = a.run_to_end()
    assert status == 1, a.log()
    return a.log_lines("error|ERROR")


def block_of(module, name, *lines):
    kind = BLOCKS[module]
    head = f'<{kind} "{name}">' if name is not None else f"<{kind}>"
    return "\n".join([head, *lines, f"</{kind}>"])


@pytest.mark.parametrize("module", BLOCKS)
def test_an_unknown_option_is_named(rig, module):
    lines = refused(rig, module, block_of(module, "x", "Bananas 3"))
    assert any("Bananas" in m and "x" in m for m in lines), lines


@pytest.mark.parametrize("module,line,option,value", [
    ("rabbitmq_publish", "Port 99999", "Port", "99999"),
    ("rabbitmq_publish", 'Format "Klingon"', "Format", "Klingon"),
    ("rabbitmq_publish", 'OnReturn "maybe"', "OnReturn", "maybe"),
    ("rabbitmq_publish", "ConfirmWindow -1", "ConfirmWindow", "-1"),
    ("rabbitmq_publish", 'Mandatory "perhaps"', "Mandatory", "perhaps"),
    ("rabbitmq_consume", 'AckWhen "never"', "AckWhen", "never"),
    ("rabbitmq_consume", "PrefetchCount 70000", "PrefetchCount", "70000"),
    ("rabbitmq_monitor", "Interval -5", "Interval", "-5"),
    ("rabbitmq_monitor", 'URL "gopher://x"', "URL", "gopher://x"),
])
def test_a_bad_value_is_named_with_what_is_allowed(
        rig, module, line, option, value):
    lines = refused(rig, module, block_of(module, "x", line))
    assert any(option in m and value in m for m in lines), lines


def test_all_errors_of_a_block_are_listed_at_once(rig):
    lines = refused(rig, "rabbitmq_publish", block_of(
        "rabbitmq_publish", "x", "Bananas 3", "Port 99999", 'Format "Klingon"'))
    for word in ("Bananas", "Port", "Klingon"):
        assert any(word in m for m in lines), (word, lines)


@pytest.mark.parametrize("module", BLOCKS)
def test_a_duplicate_name_is_refused(rig, module):
    lines = refused(rig, module, block_of(module, "twin"), block_of(module, "twin"))
    assert any("twin" in m for m in lines), lines


@pytest.mark.parametrize("module", BLOCKS)
def test_a_missing_name_is_refused(rig, module):
    # An option inside, since collectd's parser drops a block with nothing.
    lines = refused(rig, module, block_of(module, None, 'User "u"'))
    assert any(BLOCKS[module] in m for m in lines), lines


@pytest.mark.parametrize("name", ["a b", "a/b", "a-b", ""])
def test_a_name_that_cannot_be_an_instance_is_refused(rig, name):
    lines = refused(rig, "rabbitmq_publish", block_of("rabbitmq_publish", name))
    assert any("Publish" in m for m in lines), lines


def test_an_environment_variable_is_expanded_and_its_absence_an_error(rig):
    lines = refused(rig, "rabbitmq_publish", block_of(
        "rabbitmq_publish", "x", 'Host "${WARREN_TEST_NOT_SET}"'))
    assert any("WARREN_TEST_NOT_SET" in m for m in lines), lines
