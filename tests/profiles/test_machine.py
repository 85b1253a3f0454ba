"""What this machine is."""

import os
from pathlib import Path

from clinicedge.profiles.machine import memory_mb, own_memory_mb, room, this_machine
from clinicedge.runtime.choices import KERNEL_FLAGS, machine_id
from clinicedge.runtime.records import dump_bytes


def test_this_machine_is_described() -> None:
    machine = this_machine()
    assert machine.id == machine_id()
    assert machine.cores == len(os.sched_getaffinity(0))
    assert set(machine.flags) <= KERNEL_FLAGS
    assert machine.memory_mb > 100
    assert machine.python.startswith("3.")
    assert machine.system


def test_no_host_or_user_name_is_in_it() -> None:
    text = dump_bytes(this_machine()).decode()
    host = os.uname().nodename
    assert len(host) < 4 or host not in text


def test_memory_is_read_in_megabytes() -> None:
    assert 5 < own_memory_mb("VmRSS") <= own_memory_mb("VmHWM")
    assert memory_mb("NoSuchLine") == 0


def test_room_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    found = room(tmp_path / "a" / "b")
    assert found.disk_mb > 0
    assert found.memory_mb > 0
