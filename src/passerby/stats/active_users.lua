#!lua
-- Counts guests of a node who have connected, or whose connection has ended.
--
-- KEYS[1] active_user_count  integer ≥ 0
--
-- ARGV[1] how many more are connected; < 0: how many fewer
-- ARGV[2] how many are connected to the node: the count, if it is missing or cannot be right
-- ARGV[3] seconds until the count expires
--
-- Returns the count

local count = redis.call('EXISTS', KEYS[1]) == 1 and redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(count) ~= 'number' or count < 0 then
    count = tonumber(ARGV[2])
    redis.call('SET', KEYS[1], count)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return count
