#!lua
-- Says what a node is, and what its clock shows.
-- KEYS[1]  about:<id>  hash: host, pid, clock, heard
-- ARGV[1]  the name of its machine
-- ARGV[2]  its process id
-- ARGV[3]  its clock: ms since 1970
-- ARGV[4]  seconds until this expires
-- `heard` is the clock of this server at that moment, in ms, so that the clocks of all nodes can be compared.
local time = redis.call('TIME')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'host', ARGV[1], 'pid', ARGV[2], 'clock', ARGV[3],
  'heard', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('EXPIRE', KEYS[1], ARGV[4])
