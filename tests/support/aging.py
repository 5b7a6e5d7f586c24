"""Time that passes for what is in a Redis, without anybody waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from passerby.redis.client import Redis

AGE: Final = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 and not string.find(key, 'passerby:marker', 1, true) then
    redis.call('PEXPIRE', key, left - ARGV[1])
  end
  if redis.call('TYPE', key).ok == 'zset' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      local is_in_seconds = tonumber(redis.call('ZSCORE', key, member)) < 1e11
      redis.call('ZINCRBY', key, is_in_seconds and -ARGV[1] / 1000 or -ARGV[1], member)
    end
  end
end
for _, key in ipairs(redis.call('KEYS', '*{mm}:claim:*')) do -- see queue_enter.lua
  local attempt, ends, partner = string.match(redis.call('GET', key), '^(%d+) (%d+) (.*)$')
  local earlier = string.format('%s %d %s', attempt, ends - ARGV[1], partner)
  redis.call('SET', key, earlier, 'KEEPTTL')
end
for _, key in ipairs(redis.call('KEYS', '*limit:{*')) do -- see buckets_take.lua
  local ready = redis.call('GET', key)
  redis.call('SET', key, string.format('%.0f', ready - ARGV[1] * 1000), 'KEEPTTL')
end
"""
"""Lets all that expires do so earlier, by ARGV[1] milliseconds."""


async def age(redis: Redis, seconds: float) -> None:
    """Let all keys but the watch's marker expire `seconds` earlier. Scores of sorted sets are times of any clock."""
    await redis.command("EVAL", AGE, 0, round(seconds * 1000))
