-- Overwrites parts of a chunk, which keeps its length and its expiry. It may run again.
-- KEYS[1]  string: the chunk
-- ARGV     pairs of a place (bytes from the chunk's beginning) and the new bytes; all within the chunk
-- Returns 1; 0 if there is no such chunk (any more).
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
for number = 1, #ARGV, 2 do
  redis.call('SETRANGE', KEYS[1], ARGV[number], ARGV[number + 1])
end
return 1
