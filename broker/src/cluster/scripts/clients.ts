/** Scripts about which broker a client is connected to. */
import { always, common, endSession } from "./common.ts";

/**
 * A client connects: its session is this broker's from now on, and what another broker holds of its queue is released.
 * KEYS: prefix of all keys. ARGV: broker, client, 1 for a clean session.
 * Returns 1 if another broker had it last, and the kept session, if there is one.
 */
export const own = `${always}${common}${endSession}
local prefix, me, client = KEYS[1], ARGV[1], ARGV[2]
local owner = redis.call('HGET', prefix .. 'owners', client)
redis.call('HSET', prefix .. 'owners', client, me)
local moved = owner and owner ~= me and 1 or 0
if moved == 1 then release(prefix .. 'queue:/' .. client, owner) end
redis.call('PUBLISH', prefix .. 'news', 'owned ' .. me .. ' ' .. client)
if ARGV[3] ~= '1' then return { moved, redis.call('HGET', prefix .. 'sessions', client) } end
end_session(prefix, client)
return { moved, false }
`;

/**
 * A client has gone. KEYS: prefix of all keys. ARGV: broker, client, 1 for a clean session. The queue of another one
 * stays with the broker that had it last, until the client comes back somewhere.
 */
export const disown = `${always}
local prefix = KEYS[1]
if redis.call('HGET', prefix .. 'owners', ARGV[2]) ~= ARGV[1] then return 0 end
if ARGV[3] == '1' then redis.call('HDEL', prefix .. 'owners', ARGV[2])
else redis.call('PUBLISH', prefix .. 'news', 'left ' .. ARGV[2]) end
return 1
`;
