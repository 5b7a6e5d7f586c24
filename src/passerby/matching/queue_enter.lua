#!lua
-- Enter tickets, one after the other: each is a step in which a partner is found or the ticket waits. A step may be run
-- again after a lost answer.
--
-- KEYS[1] tickets  hash, guest id to ticket (JSON): who waits, is suspended, or has been matched and not yet forgotten
-- KEYS[2] waiting  set of guest ids: who can be found
-- KEYS[3] leases   sorted set, guest id by the end of the lease, in milliseconds of the server's clock
-- KEYS[4] places   hash, guest id to where it stands: 1 if it accepts whom it has met lately, else 0, and the names of
--                  its places, each after a line break. Each place is a key, this one with ":" and the name: a sorted
--                  set, guest id by the position
-- KEYS[5…] claim   string, of each ticket: "attempt ends guest ticket": the last two are the partner's, who is matched
--                  with this ticket as long as their lease is the one that `ends` then
--
-- ARGV[1] milliseconds of a lease; also until a ticket that was matched in vain can enter again
-- ARGV[2] milliseconds that the keys are kept at least; a claim only as long as a lease
-- ARGV[3] how many who do not wait any more are dropped at most, for all together
-- ARGV[4] how many of each tier are looked at in all
-- ARGV[5] milliseconds that a place is kept after the last one has come to it
-- ARGV[6…] of each ticket: the guest's id
--                          the ticket
--                          the attempt: a number that no other `enter` of this ticket has
--                          1: this attempt may have been applied already, 0: it cannot
--                          1: it still waits, or nothing happens; 0: it enters
--                          its position
--                          where it stands, as in KEYS[4]
--                          the number of tiers, the best first, and of each: the highest position of those who are
--                          taken from there; and the names of the places, each after a line break
--                          the names of the places of all whom it may still meet if it waits
--
-- Returns for each ticket: the partner's; nil: it waits, or it had to wait and did not; 0: so many were dropped that it
-- has to be run again; or an error, which is no other ticket's

local tickets, waiting, leases, places = unpack(KEYS, 1, 4)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local droppable, EXAMINED = tonumber(ARGV[3]), tonumber(ARGV[4])

local function applied(claim, guest, ticket, attempt)
    local claimed, til, partner, found = string.match(redis.call('GET', claim) or '', '^(%d+) (%d+) (%S+) (.*)$')
    if claimed == attempt and tonumber(til) > now and redis.call('ZSCORE', leases, partner) == til
        and redis.call('SISMEMBER', waiting, partner) == 0 and redis.call('HGET', tickets, partner) == found then
        return true, found
    end
    if redis.call('HGET', tickets, guest) == ticket then
        local lease = redis.call('ZSCORE', leases, guest)
        if redis.call('SISMEMBER', waiting, guest) == 1 or (claimed ~= attempt and lease and tonumber(lease) > now) then
            return true, false -- it waits, or another one has just found it
        end
    end
    return false
end

-- Whether a guest is in one of the two lists of a ticket: 2 never to be met, 1 met lately, 0 in none. Those who are never
-- met are known by their origin, which `its` ticket has if that is not the guest. (In a text of a guest quotes are
-- escaped, so it is none of these.)
local function knows(ticket, guest, its)
    local met = string.find(ticket, '"met":[', 1, true)
    local never = string.find(ticket, '"never":[', 1, true)
    if never then
        local root = string.match(its, '"origin":"([^"]+)"') or guest
        if string.find(ticket, '"' .. root .. '"', never, true) then
            return 2
        end
    end
    local found = met and string.find(ticket, '"' .. guest .. '"', met, true)
    return found and (not never or found < never) and 1 or 0
end

-- Return the ticket of another guest who waits, and the end of the lease.
local function waits(other, place)
    local lease = redis.call('ZSCORE', leases, other)
    local found = redis.call('HGET', tickets, other)
    if found and lease and tonumber(lease) > now and redis.call('SISMEMBER', waiting, other) == 1 then
        return found, lease
    end
    droppable = droppable - 1
    redis.call('SREM', waiting, other)
    redis.call('ZREM', place, other)
    leave(places, other)
end

local function know(guest, ticket, other, found)
    return math.max(knows(ticket, other, found), knows(found, guest, ticket))
end

local function earlier(one, other)
    return one[1] < other[1] or (one[1] == other[1] and one[2] < other[2])
end

-- Return those who stand in places, each with its position and its place, the longest waiting first: `limit` of each
-- place; and whether there may be more.
local function standing(names, highest, limit)
    local all, is_more = {}, false
    for name in string.gmatch(names, '\n([^\n]+)') do
        local place = places .. ':' .. name
        local some = redis.pcall('ZRANGE', place, '-inf', highest, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
        if some.err then -- of another type: somebody else has written it
            redis.call('DEL', place)
            some = {}
        end
        is_more = is_more or #some == 2 * limit
        for each = 1, #some, 2 do
            all[#all + 1] = {tonumber(some[each + 1]), some[each], place}
        end
    end
    if #all > 1 then
        table.sort(all, earlier)
    end
    return all, is_more
end

-- Call `look` with those who stand in places and wait, the longest waiting first, until it returns true.
local function each(guest, names, highest, look)
    local seen, examined, is_more, limit = {[guest] = true}, 0, true, 1
    while is_more do
        local all
        all, is_more = standing(names, highest, limit)
        for _, one in ipairs(all) do
            local other = one[2]
            if not seen[other] then
                seen[other] = true
                local found, lease = waits(other, one[3])
                if found then
                    examined = examined + 1
                    if look(other, found, lease) or examined == EXAMINED then
                        return
                    end
                elseif droppable == 0 then
                    return
                end
            end
        end
        limit = 8 * limit
    end
end

-- Whether nobody waits whom one of the two has not met.
local function is_alone(guest, ticket, other, found, names)
    local is_so = true
    each(guest, names, '+inf', function(third, its)
        is_so = third == other or know(guest, ticket, third, its) > 0 and know(other, found, third, its) > 0
        return not is_so
    end)
    return is_so
end

-- Return a guest who may be met, the ticket, and the end of the lease. Somebody who was met lately is taken only if both
-- accept it, and nobody else is there.
local function find(guest, ticket, again, place)
    local count = tonumber(ARGV[place])
    local best, met
    for tier = 1, count do
        each(guest, ARGV[place + 2 * tier], ARGV[place + 2 * tier - 1], function(other, found, lease)
            local known = know(guest, ticket, other, found)
            if known == 0 then
                best = {other, found, lease}
            elseif known == 1 and not met and again == '1'
                and string.sub(redis.call('HGET', places, other) or '', 1, 1) == '1' then
                met = {other, found, lease}
            end
            return best
        end)
        if best or droppable == 0 then
            break
        end
    end
    if met and not best and droppable > 0
        and is_alone(guest, ticket, met[1], met[2], ARGV[place + 2 * count + 1])
        and droppable > 0 then -- else not all were looked at
        best = met
    end
    if best then
        return unpack(best)
    end
end

local function wait(guest, ticket, ends, position, stands)
    redis.call('HSET', tickets, guest, ticket)
    redis.call('SADD', waiting, guest)
    redis.call('ZADD', leases, ends, guest)
    for name in string.gmatch(stands, '\n([^\n]+)') do
        local key = places .. ':' .. name
        if type(redis.pcall('ZADD', key, position, guest)) == 'table' then -- an error: see above
            redis.call('DEL', key)
            redis.call('ZADD', key, position, guest)
        end
        redis.call('PEXPIRE', key, ARGV[5])
    end
    redis.call('HSET', places, guest, stands)
end

local function enter(claim, first)
    local guest, ticket, attempt, is_again, is_look, position, stands = unpack(ARGV, first, first + 6)
    if is_again == '1' then
        local is_applied, answer = applied(claim, guest, ticket, attempt)
        if is_applied then
            return answer
        end
    end
    if is_look == '1' and (redis.call('SISMEMBER', waiting, guest) == 0
            or redis.call('HGET', tickets, guest) ~= ticket) then
        return false -- another one has just found it, or it is lost
    end

    -- No lease ends in the millisecond of the guest's last one, so that no claim is taken for another. (One that ends
    -- much later is of a search that was suspended.)
    local ends = now + ARGV[1]
    local last = tonumber(redis.call('ZSCORE', leases, guest) or 0)
    if last >= ends and last < ends + 1000 then
        ends = last + 1
    end

    local other, found, lease = find(guest, ticket, string.sub(stands, 1, 1), first + 7)
    if not other and droppable == 0 then
        return 0 -- an earlier ticket still waits, or this one, when this is run again
    end
    redis.call('SREM', waiting, guest)
    leave(places, guest)
    if not other then
        wait(guest, ticket, ends, position, stands)
        return false
    end
    redis.call('SREM', waiting, other)
    leave(places, other)
    -- Both can be recalled until they have a room.
    ends = math.max(ends, lease + 1)
    redis.call('HSET', tickets, guest, ticket)
    redis.call('ZADD', leases, ends, guest, ends, other)
    local claimed = table.concat({attempt, string.format('%d', ends), other, found}, ' ')
    redis.call('SET', claim, claimed, 'PX', ARGV[1])
    return found
end

local answers = {}
local first = 6
for place = 1, #KEYS - 4 do
    local is_done, answer = pcall(enter, KEYS[place + 4], first)
    if not is_done then -- a table or its text, that depends on the server; or the text of an error of Lua
        answer = tostring(type(answer) == 'table' and answer.err or answer)
        answer = {err = string.match(answer, '^%u+ ') and answer or 'ERR ' .. answer}
    end
    answers[place] = answer
    first = first + 9 + 2 * ARGV[first + 7]
end
for place = 1, 4 do
    if redis.call('PTTL', KEYS[place]) < tonumber(ARGV[2]) then
        redis.call('PEXPIRE', KEYS[place], 2 * ARGV[2])
    end
end
return answers
