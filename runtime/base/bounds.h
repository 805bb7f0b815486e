/* bounds.h - every limit of the system that is not a setting: unit in the name, reason beside it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#define KIB (1024ULL)
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)
#define TIB (1024ULL * GIB)

/* State. LMDB keys hold 511 bytes: 500 for users, the rest for the space byte, the separator and growth. */
#define BOUND_KEY_BYTES_MAX 500 /* entity key + row name */
#define BOUND_ENTITY_BYTES_MAX 400 /* leaves room for a name */
#define BOUND_VALUE_BYTES_MAX (64 * MIB) /* one row; larger things belong into files */
#define BOUND_WRITE_SET_BYTES_MAX (256 * MIB)
#define BOUND_CHAIN_BYTES_MAX (64 * MIB) /* not yet committed writes that a worker keeps for later runs */
#define BOUND_READ_SET_KEYS_MAX 100000 /* separate rows read by one invocation that writes */
#define BOUND_READ_SET_RANGES_MAX 10000
#define BOUND_MAP_BYTES (64 * GIB) /* sparse address space of one partition's data file */

/* The log of a partition. Defaults of the settings of the same name. */
#define BOUND_LOG_SEGMENT_BYTES (16 * MIB) /* zeros for one are written in a few ms */
#define BOUND_LOG_KEEP_BYTES (64 * MIB) /* history for feeds and point-in-time restores */
#define BOUND_CHECKPOINT_BYTES (64 * MIB) /* log to replay, or pages that cannot be used again yet */
#define BOUND_CHECKPOINT_MS 5000
#define BOUND_QUICK_CHECK_BYTES \
    (64 * MIB) /* a data file whose structure is checked at each open: some 20 ms */
#define BOUND_RELAXED_SYNC_MS 10 /* what `relaxed` may lose by a power cut */
#define BOUND_PARTITIONS_MAX 64 /* of one app: each has a data file, a committer and a zygote of its own */

/* Frames between daemon and worker: a write set and its envelope. */
#define BOUND_FRAME_BYTES_MAX (BOUND_WRITE_SET_BYTES_MAX + 80 * MIB)
#define BOUND_LOG_LINE_BYTES_MAX 4096 /* one line of a function's log */
#define BOUND_REPLY_BODY_BYTES_MAX (16 * MIB) /* one reply is held in memory until its writes are durable */
#define BOUND_REPLY_HEADER_BYTES_MAX (64 * KIB)
#define BOUND_REPLY_HEADER_COUNT_MAX 100
#define BOUND_FAILURE_TEXT_BYTES_MAX 512 /* a function's own words about its error */

/* Names: of apps, functions. They appear in paths and file names. */
#define BOUND_NAME_BYTES_MAX 63
#define BOUND_FUNCTIONS_PER_APP_MAX 1000
#define BOUND_ROUTES_PER_APP_MAX 1000
#define BOUND_CHANNELS_PER_APP_MAX 1000
#define BOUND_SUBSCRIPTIONS_PER_APP_MAX 1000
#define BOUND_CHANNEL_KEEP_HOURS_MAX (100 * 366 * 24) /* a hundred years */
#define BOUND_CHANNEL_KEEP_MB_MAX (16 * 1024 * 1024)
#define BOUND_CHANNEL_RETRIES_MAX 1000
#define BOUND_BATCH_MESSAGES_MAX 1000 /* of a channel, in one invocation or one answer */
#define BOUND_ARTIFACT_BYTES_MAX (128 * MIB)
#define BOUND_MANIFEST_BYTES_MAX (1 * MIB)
#define BOUND_VERSIONS_PER_APP_MAX 10 /* kept for rollback; the oldest goes first */
#define BOUND_DEPLOYS_WAITING_MAX 16 /* each holds its code in memory */
#define BOUND_PATH_BYTES_MAX 1024 /* of a route, and of file names in a manifest */
#define BOUND_BUILD_COMMAND_BYTES_MAX 4096
#define BOUND_ENV_COUNT_MAX \
    32 /* of one app; all go to its processes in one packet, with the function names */
#define BOUND_ENV_VALUE_BYTES_MAX 512
#define BOUND_MOUNTS_MAX 16 /* files and directories of the machine that one app reads */
#define BOUND_ALLOW_MAX 64 /* hosts and ports that one app may reach */
#define BOUND_HOST_BYTES_MAX 253 /* of a name, as the DNS has it */
#define BOUND_STATE_BYTES_LIMIT_MAX (1024 * TIB)
#define BOUND_STATE_BYTES_LIMIT_MIN (64 * KIB) /* the rows of an empty app take some pages */
#define BOUND_TIMEOUT_MS_MAX (24ULL * 3600 * 1000) /* longer work is a workflow */
#define BOUND_MEMORY_MB_MAX (1024 * 1024)
#define BOUND_POOL_WORKERS_MAX 1024 /* processes of one function */
#define BOUND_CONCURRENCY_MAX 65536
#define BOUND_CPU_PERCENT_MAX 102400 /* of one processor: 1,024 of them */
#define BOUND_RATE_PER_SECOND_MAX 1000000

/* HTTP. Defaults of the settings of the same name. */
#define BOUND_HTTP_HEADER_BYTES_MAX (64 * KIB)
#define BOUND_HTTP_HEADER_COUNT_MAX 100
#define BOUND_HTTP_TARGET_BYTES_MAX (8 * KIB)
#define BOUND_HTTP_BODY_BYTES_MAX (16 * MIB)
#define BOUND_HTTP_BODY_BYTES_ALLOWED (64 * MIB) /* that the setting may be raised to */
#define BOUND_HTTP_BODIES_BYTES_MAX (512 * MIB) /* of all requests that arrive or wait for their answers */
#define BOUND_HTTP_CONNECTIONS_MAX 10000
#define BOUND_HTTP_PIPELINE_MAX 64 /* unanswered requests of one connection; more stay in the socket */
#define BOUND_HTTP_HEAD_TIMEOUT_MS 10000 /* clients send their headers at once; slower ones hold our memory */
#define BOUND_HTTP_BODY_TIMEOUT_MS 60000 /* BODY_BYTES_MAX over a slow uplink */
#define BOUND_HTTP_IDLE_TIMEOUT_MS 75000 /* longer than the usual 60 s of proxies, so that they close first */
#define BOUND_HTTP_WRITE_TIMEOUT_MS 30000 /* a client that takes nothing of its answer */
#define BOUND_HTTP_LINGER_MS 2000 /* after an early error answer: time for the client to read it */
#define BOUND_HTTP_REFUSALS_PER_S \
    4000 /* 404, 429 and 503 in all; 15 us of the loop each: a sixteenth of it */
#define BOUND_HTTP_REFUSALS_BURST 400 /* at once before connections wait for their turn */
#define BOUND_HTTP_UNSENT_BYTES_MAX \
    (1 * MIB) /* answers that wait for a slow reader, besides the one being sent */

/* Invocations. */
#define BOUND_CONFLICT_RETRIES_MAX 16 /* then 409; with jitter between */
#define BOUND_QUEUE_PER_FUNCTION_MAX 10000 /* waiting invocations */
#define BOUND_IDEMPOTENCY_KEY_BYTES_MAX 255
#define BOUND_IDEMPOTENCY_KEEP_MS (24ULL * 3600 * 1000)
#define BOUND_ASKS_AT_ONCE_MAX 256 /* what one running handler may wait for together: calls of a fan-out */
#define BOUND_CALL_DEPTH_MAX 16 /* a calls b calls c ...; each holds a worker while it waits */
#define BOUND_SEND_RETRIES_MAX 12 /* of one send, over about an hour; then it is a dead letter */
#define BOUND_EFFECTS_BYTES_MAX (32 * MIB) /* messages, sends and pushes of one invocation, together */
#define BOUND_EFFECTS_COUNT_MAX 10000
#define BOUND_STREAM_PIECE_BYTES_MAX \
    BOUND_HTTP_UNSENT_BYTES_MAX /* of a streamed reply: what a client without delay has room for */
#define BOUND_MESSAGE_BYTES_MAX (1 * MIB) /* one message of a channel or of a connection */
#define BOUND_SOCKETS_PER_APP_MAX 5000 /* half of all connections: the others get some too */
#define BOUND_SOCKET_QUEUE_MESSAGES_MAX 16 /* of one connection, before it is not read from any more */
#define BOUND_SOCKET_UNSENT_BYTES_MAX \
    (4 * MIB) /* for a slow reader, before it is left; a few large messages */
#define BOUND_SOCKET_PING_MS \
    30000 /* a silent client is asked; one that is silent for two of these has gone */
#define BOUND_SOCKET_CONTROLS_PER_S 100 /* pings of one client; more are an attack */
#define BOUND_SOCKET_ORIGINS_MAX 16 /* of one route */
#define BOUND_MESSAGE_KEY_BYTES_MAX BOUND_ENTITY_BYTES_MAX /* it may be the entity of who consumes it */
#define BOUND_CONTENT_TYPE_BYTES_MAX 127
#define BOUND_LIVE_QUEUE_MESSAGES_MAX \
    16384 /* that wait for one subscriber of a live channel: a second of a fast stream */
#define BOUND_LIVE_QUEUE_BYTES_MAX (8 * MIB) /* likewise; then its oldest are lost */
#define BOUND_LIVE_BATCH_BYTES_MAX \
    (256 * KIB) /* of messages in one answer or invocation, but for a single one */
#define BOUND_LIVE_RUNS_MAX \
    16 /* invocations at the same time that one subscription of a live channel starts */
#define BOUND_LIVE_REFUSED_WAIT_MS \
    100 /* a subscription whose invocation had no room starts none for so long: its queue is the room */
#define BOUND_BUS_PEERS_MAX 16 /* other nodes that one listens to */
#define BOUND_BUS_QUEUE_MESSAGES_MAX 1024 /* from outside, of one socket, that the loop has not taken yet */
#define BOUND_BUS_QUEUE_BYTES_MAX (8 * MIB) /* likewise */
#define BOUND_BUS_TURN_MESSAGES_MAX \
    256 /* of one socket in one turn of the loop: the others' work comes in between */
#define BOUND_SUBSCRIPTIONS_PER_RUN_MAX 64 /* of one running handler */
#define BOUND_WORKER_DEPTH_MAX 64 /* invocations sent ahead to one worker */

_Static_assert(BOUND_KEY_BYTES_MAX + 2 <= 511, "a row key must fit an LMDB key");
_Static_assert(BOUND_ENTITY_BYTES_MAX < BOUND_KEY_BYTES_MAX, "an entity needs room for row names");
_Static_assert(BOUND_FRAME_BYTES_MAX < 4 * GIB, "frame lengths are 32 bits");
