"""The system calls of the box: each name with its number on x86-64 and on AArch64 (`-`: has none).

The list holds all calls that Python, NumPy, TensorFlow and HDF5 were seen to need, and those that their C
library may use instead. Other calls do not exist in the box: no sockets, no namespaces, no mounts, no
tracing, no io_uring, no keys, no memory that belongs to no process. The numbers are the kernel's, from
`asm/unistd_64.h` and `asm-generic/unistd.h`.
"""

from __future__ import annotations

from typing import Literal

Machine = Literal["x86_64", "aarch64"]

FILES = """
read:0:63 write:1:64 pread64:17:67 pwrite64:18:68 readv:19:65 writev:20:66 preadv:295:69
pwritev:296:70 preadv2:327:286 pwritev2:328:287 close:3:57 close_range:436:436 open:2:-
openat:257:56 openat2:437:437 creat:85:- lseek:8:62 stat:4:- fstat:5:80 lstat:6:- newfstatat:262:79
statx:332:291 access:21:- faccessat:269:48 faccessat2:439:439 readlink:89:- readlinkat:267:78
dup:32:23 dup2:33:- dup3:292:24 pipe:22:- pipe2:293:59 poll:7:- ppoll:271:73 select:23:-
pselect6:270:72
eventfd:284:- eventfd2:290:19
fsync:74:82 fdatasync:75:83 truncate:76:45 ftruncate:77:46 fallocate:285:47 fadvise64:221:223
readahead:187:213 sendfile:40:71 copy_file_range:326:285
getdents:78:- getdents64:217:61 getcwd:79:17 chdir:80:49 fchdir:81:50 mkdir:83:- mkdirat:258:34
rmdir:84:- rename:82:- renameat:264:38 renameat2:316:276 unlink:87:- unlinkat:263:35 link:86:-
linkat:265:37 symlink:88:- symlinkat:266:36 chmod:90:- fchmod:91:52 fchmodat:268:53 chown:92:-
fchown:93:55 lchown:94:- fchownat:260:54 utime:132:- utimes:235:- futimesat:261:- utimensat:280:88
umask:95:166 statfs:137:43 fstatfs:138:44 getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10
listxattr:194:11 llistxattr:195:12 flistxattr:196:13
"""
MEMORY = """
munmap:11:215 mremap:25:216 mprotect:10:226 madvise:28:233 brk:12:214 msync:26:227
mincore:27:232 membarrier:324:283 mbind:237:235 set_mempolicy:238:237 get_mempolicy:239:236
"""
PROCESSES = """
fork:57:- vfork:58:- execve:59:221 execveat:322:281 exit:60:93 exit_group:231:94 wait4:61:260
waitid:247:95 kill:62:129 tkill:200:130 tgkill:234:131 getpid:39:172 getppid:110:173 gettid:186:178
getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150
getgroups:115:158 getpgid:121:155 getpgrp:111:- setpgid:109:154 getsid:124:156 setsid:112:157
set_tid_address:218:96 set_robust_list:273:99 get_robust_list:274:100 futex:202:98
futex_waitv:449:449 rseq:334:293 sched_yield:24:124 sched_getaffinity:204:123
sched_setaffinity:203:122 sched_getparam:143:121 sched_getscheduler:145:120
sched_get_priority_max:146:125 sched_get_priority_min:147:126 getpriority:140:141
setpriority:141:140 arch_prctl:158:- prlimit64:302:261 getrlimit:97:163
setrlimit:160:164 getrusage:98:165 times:100:153 sysinfo:99:179 uname:63:160 getrandom:318:278
capget:125:90 getcpu:309:168 restart_syscall:219:128 pidfd_open:434:434 pidfd_send_signal:424:424
"""
TIME = """
pause:34:- alarm:37:- getitimer:36:102 setitimer:38:103 nanosleep:35:101 clock_nanosleep:230:115
clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201:- timer_create:222:107
timer_settime:223:110 timer_gettime:224:108 timer_getoverrun:225:109 timer_delete:226:111
timerfd_create:283:85 timerfd_settime:286:86 timerfd_gettime:287:87 rt_sigaction:13:134
rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigsuspend:130:133 rt_sigtimedwait:128:137
rt_sigpending:127:136 rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240 sigaltstack:131:132
"""
# These are allowed or refused by their arguments, see `grader.describe.child.seccomp`.
JUDGED = """
clone:56:220 clone3:435:435 fcntl:72:25 ioctl:16:29 mmap:9:222 prctl:157:167
"""


def numbers(machine: Machine, *tables: str) -> dict[str, int]:
    """Return the numbers, by name, of the calls in ``tables`` that this kind of machine has."""
    column = {"x86_64": 1, "aarch64": 2}[machine]
    rows = [entry.split(":") for table in tables for entry in table.split()]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
