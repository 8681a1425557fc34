"""Every Python of a host whose clock is wrong finds this on PYTHONPATH: its wall clock is ahead by so many seconds.

(libfaketime, which would do so for any program, breaks `time.sleep` of Python 3.11.)
"""

import datetime
import os
import time

_AHEAD = float(os.environ.get("HOST_CLOCK_AHEAD", "0"))
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime


class _Meta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, _datetime)

    def __subclasscheck__(cls, subclass):
        return issubclass(subclass, _datetime)


class _Ahead(_datetime, metaclass=_Meta):
    @classmethod
    def now(cls, tz=None):
        return _datetime.now(tz) + datetime.timedelta(seconds=_AHEAD)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


if _AHEAD:
    time.time = lambda: _time() + _AHEAD
    time.time_ns = lambda: _time_ns() + int(_AHEAD * 1e9)
    datetime.datetime = _Ahead
