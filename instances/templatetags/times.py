"""Filters that write times as every page does (instances/times.py)."""

from django.template import Library

from instances.times import format_time, format_time_of_day

register = Library()
register.filter("short_time", format_time, expects_localtime=False)
register.filter("time_of_day", format_time_of_day, expects_localtime=False)
