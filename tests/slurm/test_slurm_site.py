"""What a cluster says about itself is read. Pure."""

from __future__ import annotations

import pytest

from outlast.executors.slurm.cluster_facts import (
    Limits,
    Nodes,
    Partition,
    gpus_in,
    parse_config,
    parse_limits,
    parse_nodes,
    parse_partitions,
    parse_time_s,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2:00", 120.0),
        ("00:02:00", 120.0),
        ("1-02:03:04", 93784.0),
        ("365-00:00:00", 31536000.0),
        ("UNLIMITED", None),
        ("NONE", None),
        ("N/A", None),
        ("", None),
        ("INVALID", None),
    ],
)
def test_slurms_times_are_read(text: str, seconds: float | None) -> None:
    assert parse_time_s(text) == seconds


def test_a_partition_is_read_from_its_line() -> None:
    text = (
        "PartitionName=gpu AllowGroups=ALL AllocNodes=login1 Default=YES QoS=N/A DefaultTime=01:00:00 MaxTime=1-00:00:00 "
        "Nodes=n[1-4] OverSubscribe=EXCLUSIVE PreemptMode=REQUEUE State=UP TotalCPUs=16 TotalNodes=4 TRES=cpu=16,node=4\n"
        "PartitionName=old Default=NO DefaultTime=NONE MaxTime=UNLIMITED OverSubscribe=NO PreemptMode=OFF State=DRAIN\n"
    )
    assert parse_partitions(text) == [
        Partition("gpu", True, True, 86400.0, 3600.0, True, "REQUEUE", 4, "login1", "n[1-4]"),
        Partition("old", False, False, None, None, False, "OFF", 0, "ALL"),
    ]


def test_the_tightest_limit_counts() -> None:
    associations = "200|||normal,long\n50||2-00:00:00|normal\n"
    qos = "20||1-00:00:00|normal\n||7-00:00:00|long\n1|||others\n"
    assert parse_limits(associations, qos) == Limits(20, 86400.0)
    assert parse_limits(associations, qos, only="long") == Limits(50, 172800.0)
    assert parse_limits("", "") == Limits(None, None)


def test_a_configuration_is_read_by_key() -> None:
    text = "Configuration data as of 2026\nMaxArraySize            = 1001\nAccountingStorageType   = accounting_storage/none\n\n"
    assert parse_config(text) == {"MaxArraySize": "1001", "AccountingStorageType": "accounting_storage/none"}


def test_nodes_are_read_with_their_gpus() -> None:
    text = (
        "gpu|3|64|512000|gpu:a100:4(S:0-1)|mixed\ngpu|1|64|512000|gpu:a100:4(S:0-1)|drained*\n"
        "cpu|90|128|256000|(null)|idle~\n?\n"
    )
    assert parse_nodes(text) == [
        Nodes("gpu", 3, 64, 512000, 4, True),
        Nodes("gpu", 1, 64, 512000, 4, False),
        Nodes("cpu", 90, 128, 256000, 0, True),
    ]


@pytest.mark.parametrize(
    ("resources", "count"),
    [
        ("gpu:2", 2), ("gpu:1080:2", 2), ("gpu:a100_3g.20gb:2,gpu:h100:1(S:0)", 3), ("nvme:1,gpu", 1), ("gpu:a100", 1),
        ("mygpu:3", 0), ("(null)", 0), ("gpu:nvidia_h100_80gb_hbm3:8(S:0,2)", 8),
    ],
)  # fmt: skip
def test_gpus_are_counted_whatever_their_type_is_called(resources: str, count: int) -> None:
    assert gpus_in(resources) == count
