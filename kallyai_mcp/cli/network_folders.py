"""Finds out whether a folder is on another machine (SMB, NFS, and others), where file locks may not work."""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

Mount = tuple[str, str]
"""The path where a file system is mounted, and the type of the file system."""

_NETWORK_TYPES = frozenset(
    ("9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs2", "fuse.glusterfs", "fuse.rclone",
     "fuse.sshfs", "gfs2", "gpfs", "lustre", "macfuse", "ncpfs", "nfs", "nfs4", "ocfs2", "osxfuse", "smb3", "smbfs",
     "vboxsf", "virtiofs", "vmhgfs", "webdav")
)  # fmt: skip
"""Types of file systems that are on another machine, or shared with one."""

_OCTAL = re.compile(r"\\([0-7]{3})")
_MOUNT_LINE = re.compile(r".+? on (/.*) \(([^,)]+)")


def network_type(path: Path, platform: str, real_path: str, mounts: Iterable[Mount]) -> str | None:
    """The type of a network folder: "SMB" on Windows, else the type of its file system; None for a local folder.

    Args:
        path: The folder; it need not exist.
        platform: The value of `sys.platform`.
        real_path: The real path of the folder. On Windows, it shows the share behind the letter of a drive.
        mounts: The mounted file systems; not used on Windows.
    """
    if platform == "win32":
        names = (str(path), real_path)
        return "SMB" if any(re.match(r"\\\\(?![?.]\\(?!UNC\\))", name, re.IGNORECASE) for name in names) else None
    _, kind = max(
        ((place, kind) for place, kind in mounts if Path(real_path).is_relative_to(place)),
        key=lambda mount: len(mount[0]),
        default=("", ""),
    )
    return kind if kind in _NETWORK_TYPES else None


def mounts_here() -> list[Mount]:
    """The mounted file systems of this machine, in the order of mounting; none on Windows, or if they can't be read."""
    try:
        if sys.platform == "darwin":
            done = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=2, check=False)
            return mounts_of_macos(done.stdout)
        return mounts_of_linux(Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace"))
    except (OSError, subprocess.SubprocessError):
        return []


def mounts_of_linux(text: str) -> list[Mount]:
    """The mounts in the text of `/proc/self/mounts` (proc(5), fstab(5)), in which spaces in a path are octal codes."""
    lines = (line.split(" ") for line in text.splitlines())
    return [(_OCTAL.sub(lambda found: chr(int(found[1], 8)), line[1]), line[2]) for line in lines if len(line) > 2]


def mounts_of_macos(text: str) -> list[Mount]:
    """The mounts in the output of macOS's `mount`: "//ada@server/home on /Volumes/home (smbfs, nodev, nosuid)"."""
    return [(found[1], found[2]) for line in text.splitlines() if (found := _MOUNT_LINE.match(line))]
