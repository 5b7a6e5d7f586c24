#!lua
-- Keeps the counts of a node.
--
-- KEYS[1] node:<id>  hash: online, chatting, pairs
--
-- ARGV[1] online, ARGV[2] chatting, ARGV[3] pairs
-- ARGV[4] milliseconds until the node counts as lost

local counts = {'online', ARGV[1], 'chatting', ARGV[2], 'pairs', ARGV[3]}
if type(redis.pcall('HSET', KEYS[1], unpack(counts))) == 'table' then -- an error: it is no hash
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], unpack(counts))
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
