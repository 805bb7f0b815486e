/* test_snapshot_torture.c - readers in other processes see exactly the snapshot that they were given, as long as it is pinned. */
// SPDX-License-Identifier: Apache-2.0
//
//     test_snapshot_torture [--seconds S]
//
// Accounts with values of 80 bytes to 64 KiB, whose balances always have the same sum. The store commits transfers
// as fast as it can; reader processes get the meta of a snapshot, as a worker does, scan all accounts and check number,
// sum and every word. First with pins: no reader may ever be wrong. Then without them, as a control: pages are used
// again under the readers' eyes, and a control without wrong readers would prove that this test sees nothing.
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/prng.h"
#include "sdk/src/snapshot_lmdb.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/statestore.h"

enum { ACCOUNTS = 300, BALANCE = 1000, READERS = 3, IN_FLIGHT = 4, READER_SECONDS_MAX = 10 };

/* ---- accounts ---- */

static void account_key(struct buf *key, uint64_t account)
{
    char name[24];
    snprintf(name, sizeof name, "account%06llu", (unsigned long long)account);
    buf_reset(key);
    enum status status = keyspace_row(key, SLICE_EMPTY, slice_cstr(name), NULL);
    CHECK(status == STATUS_OK);
}

/* Number, version and balance, then words that follow from number and version. */
struct account_head {
    uint64_t account;
    uint64_t version;
    int64_t balance;
};

static size_t value_words(uint64_t account, uint64_t version)
{
    struct prng prng;
    prng_init(&prng, account * 1000003 + version);
    uint64_t kind = prng_below(&prng, 20);
    if (kind == 0) return 4000 + prng_below(&prng, 4000); /* overflow pages */
    return kind < 4 ? 100 + prng_below(&prng, 400) : 7 + prng_below(&prng, 20);
}

static void account_value(struct buf *value, const struct account_head *head)
{
    size_t words = value_words(head->account, head->version);
    struct prng prng;
    prng_init(&prng, head->account ^ (head->version << 32));
    buf_reset(value);
    buf_append(value, slice_make(head, sizeof *head));
    for (size_t i = 0; i < words; i++)
    {
        uint64_t word = prng_next(&prng);
        buf_append(value, slice_make(&word, sizeof word));
    }
}

/* ---- a reader process ---- */

struct request {
    uint64_t txn;
    uint8_t meta[STORE_META_BYTES];
    bool pause; /* in the middle of the scan */
};

struct answer {
    bool good;
};

static bool account_is_right(struct slice value, uint64_t number, struct buf *expected, int64_t *sum)
{
    struct account_head head;
    if (value.size < sizeof head) return false;
    memcpy(&head, value.data, sizeof head);
    if (head.account != number) return false;
    account_value(expected, &head);
    *sum += head.balance;
    return slice_equal(value, buf_view(expected));
}

static bool snapshot_is_right(struct stead__snapshot *snapshot, const struct request *request,
                              struct buf *expected)
{
    struct slice meta = slice_make(request->meta, sizeof request->meta);
    if (stead__snapshot_install(snapshot, meta, request->txn, NULL) != STATUS_OK) return false;
    struct stead__cursor *cursor;
    if (stead__cursor_take(snapshot, &cursor, NULL) != STATUS_OK) return false;
    struct slice key, value;
    uint64_t count = 0;
    int64_t sum = 0;
    bool good = true;
    enum status status = stead__cursor_seek(cursor, SLICE("r\0account"), false, &key, &value, NULL);
    while (good && status == STATUS_OK && slice_starts_with(key, SLICE("r\0account")))
    {
        good = account_is_right(value, count++, expected, &sum);
        if (request->pause && count == ACCOUNTS / 2) usleep(20000); /* the point of the test: time goes by */
        status = stead__cursor_step(cursor, false, &key, &value, NULL);
    }
    stead__cursor_release(cursor);
    return good && (status == STATUS_OK || status == STATUS_NOT_FOUND) && count == ACCOUNTS &&
           sum == ACCOUNTS * BALANCE;
}

static _Noreturn void reader_main(const char *data_file, int link)
{
    int fd = open(data_file, O_RDONLY | O_CLOEXEC);
    struct stead__snapshot *snapshot;
    struct err err = ERR_INIT;
    if (fd < 0 || stead__snapshot_open(&snapshot, fd, "/proc", &err) != STATUS_OK)
    {
        fprintf(stderr, "reader: %s\n", err_text(&err));
        _exit(2);
    }
    struct buf expected = BUF_INIT;
    struct request request;
    while (read(link, &request, sizeof request) == sizeof request)
    {
        alarm(READER_SECONDS_MAX); /* pages that changed may lead in circles */
        struct answer answer = {.good = snapshot_is_right(snapshot, &request, &expected)};
        if (write(link, &answer, sizeof answer) != sizeof answer) break;
    }
    _exit(0);
}

struct reader {
    pid_t pid;
    int link;
    struct store_snapshot *held; /* what it reads, when snapshots are pinned */
};

struct torture {
    char dir[100];
    char data_file[120];
    const char *program;
    bool pinned;
    struct store *store;
    int wake_fd;
    struct reader readers[READERS];
    struct prng prng;
    int64_t balances[ACCOUNTS];
    uint64_t versions[ACCOUNTS];
    unsigned in_flight;
    uint64_t commits, right, wrong, crashed;
};

/* A process of its own program image: it inherits neither threads nor the store's mapping. */
static void reader_start(struct torture *torture, struct reader *reader)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    reader->pid = fork();
    CHECK(reader->pid >= 0);
    if (reader->pid == 0)
    {
        char link[16];
        int fd = dup(pair[1]); /* without close-on-exec */
        snprintf(link, sizeof link, "%d", fd);
        if (!torture->pinned) freopen("/dev/null", "w", stderr); /* LMDB's last words */
        execl("/proc/self/exe", torture->program, "--reader", torture->data_file, link, (char *)NULL);
        _exit(2);
    }
    close(pair[1]);
    reader->link = pair[0];
}

static void reader_ask(struct torture *torture, struct reader *reader)
{
    struct store_snapshot *snapshot = store_snapshot_take(torture->store);
    struct request request = {.txn = store_snapshot_txn(snapshot),
                              .pause = prng_chance(&torture->prng, 1, 8)};
    memcpy(request.meta, store_snapshot_meta(snapshot).data, STORE_META_BYTES);
    reader->held = torture->pinned ? snapshot : NULL;
    if (!torture->pinned) store_snapshot_release(torture->store, snapshot);
    CHECK(write(reader->link, &request, sizeof request) == sizeof request);
}

/* Takes the answer, or notes that the reader has died and starts another one. The pin is kept until then. */
static void reader_answered(struct torture *torture, struct reader *reader)
{
    struct answer answer;
    if (read(reader->link, &answer, sizeof answer) == sizeof answer)
    {
        torture->right += answer.good;
        torture->wrong += !answer.good;
    }
    else
    {
        torture->crashed++;
        close(reader->link);
        waitpid(reader->pid, NULL, 0);
        reader_start(torture, reader);
    }
    if (reader->held) store_snapshot_release(torture->store, reader->held);
    reader->held = NULL;
}

static void reader_stop(struct torture *torture, struct reader *reader)
{
    close(reader->link);
    waitpid(reader->pid, NULL, 0);
    if (reader->held) store_snapshot_release(torture->store, reader->held);
}

/* ---- the writer ---- */

struct transfer {
    struct store_commit commit;
    struct torture *torture;
    struct buf writes;
};

static void on_applied(struct store_commit *commit)
{
    CHECK(commit->status == STATUS_OK);
    CONTAINER_OF(commit, struct transfer, commit)->torture->in_flight--;
}

static void on_durable(struct store_commit *commit)
{
    struct transfer *transfer = CONTAINER_OF(commit, struct transfer, commit);
    CHECK(commit->status == STATUS_OK);
    transfer->torture->commits++;
    buf_fini(&transfer->writes);
    free(transfer);
}

/* Writes the accounts from `first` on, `step` apart, anew. */
static void submit_accounts(struct torture *torture, unsigned first, unsigned step)
{
    struct transfer *made = mem_zalloc(sizeof *made);
    struct buf key = BUF_INIT, value = BUF_INIT;
    for (unsigned account = first; account < ACCOUNTS; account += step)
    {
        struct account_head head = {account, ++torture->versions[account], torture->balances[account]};
        account_key(&key, account);
        account_value(&value, &head);
        write_set_append(&made->writes, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    }
    buf_fini(&key);
    buf_fini(&value);
    made->torture = torture;
    made->commit.relaxed = true; /* speed is what hurts readers */
    made->commit.applied = on_applied;
    made->commit.durable = on_durable;
    made->commit.writes[0] = buf_view(&made->writes);
    torture->in_flight++;
    store_submit(torture->store, &made->commit);
}

/* Moves money round a few accounts: the sum stays. */
static void submit_transfer(struct torture *torture)
{
    unsigned step = ACCOUNTS / (2 + (unsigned)prng_below(&torture->prng, 6));
    unsigned first = (unsigned)prng_below(&torture->prng, step);
    int64_t amount = (int64_t)prng_below(&torture->prng, 100);
    torture->balances[first] -= amount;
    torture->balances[first + step] += amount;
    submit_accounts(torture, first, step);
}

static void wake(void *ctx)
{
    struct torture *torture = ctx;
    uint64_t one = 1;
    CHECK(write(torture->wake_fd, &one, sizeof one) == sizeof one);
}

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_real());
}

/* One turn of the loop: whatever has happened, at most a few ms of waiting. */
static void turn(struct torture *torture)
{
    struct pollfd fds[READERS + 1] = {[READERS] = {.fd = torture->wake_fd, .events = POLLIN}};
    for (int i = 0; i < READERS; i++)
        fds[i] = (struct pollfd){.fd = torture->readers[i].link, .events = POLLIN};
    poll(fds, READERS + 1, 10);
    if (fds[READERS].revents)
    {
        uint64_t count;
        CHECK(read(torture->wake_fd, &count, sizeof count) == sizeof count);
    }
    store_reap(torture->store);
    for (int i = 0; i < READERS; i++)
    {
        if (!fds[i].revents) continue;
        reader_answered(torture, &torture->readers[i]);
        reader_ask(torture, &torture->readers[i]);
    }
    while (torture->in_flight < IN_FLIGHT) submit_transfer(torture);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    return remove(path);
}

static void torture_open(struct torture *torture)
{
    const char *base = getenv("TMPDIR");
    snprintf(torture->dir, sizeof torture->dir, "%s/stead-torture-XXXXXX", base ? base : "/tmp");
    CHECK(mkdtemp(torture->dir));
    snprintf(torture->data_file, sizeof torture->data_file, "%s/data.mdb", torture->dir);
    torture->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct store_config config = {
        .dir = torture->dir,
        .map_bytes = 4 * GIB,
        .clock = clock_real(),
        .wake = wake,
        .wake_ctx = torture,
        .checkpoint_ms = 200,
        /* Without pins for readers there is to be none for checkpoints either: it would protect them for a while. */
        .sabotage = torture->pinned ? 0 : STORE_SABOTAGE_PIN,
    };
    struct err err = ERR_INIT;
    if (store_open(&torture->store, &config, &err) != STATUS_OK)
    {
        fprintf(stderr, "%s\n", err_text(&err));
        exit(1);
    }
    for (int i = 0; i < ACCOUNTS; i++) torture->balances[i] = BALANCE;
    submit_accounts(torture, 0, 1);
    while (torture->in_flight > 0)
    {
        struct pollfd fd = {.fd = torture->wake_fd, .events = POLLIN};
        poll(&fd, 1, 100);
        store_reap(torture->store);
    }
}

static void torture_run(struct torture *torture, double seconds)
{
    torture_open(torture);
    for (int i = 0; i < READERS; i++)
    {
        reader_start(torture, &torture->readers[i]);
        reader_ask(torture, &torture->readers[i]);
    }
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end && !(torture->pinned == false && torture->wrong + torture->crashed >= 20))
        turn(torture);
    for (int i = 0; i < READERS; i++) reader_stop(torture, &torture->readers[i]);
    struct store_stats stats;
    store_stats(torture->store, &stats);
    store_close(torture->store);
    close(torture->wake_fd);
    nftw(torture->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    printf("%s: %llu commits in %llu batches, %llu snapshots right, %llu wrong, %llu readers crashed, file "
           "%llu MiB\n",
           torture->pinned ? "pinned" : "control without pins", (unsigned long long)torture->commits,
           (unsigned long long)stats.batches, (unsigned long long)torture->right,
           (unsigned long long)torture->wrong, (unsigned long long)torture->crashed,
           (unsigned long long)(stats.data_bytes >> 20));
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--reader") == 0) reader_main(argv[2], (int)strtol(argv[3], NULL, 10));
    double seconds = argc == 3 && strcmp(argv[1], "--seconds") == 0 ? strtod(argv[2], NULL) : 3;
    signal(SIGPIPE, SIG_IGN);
    static struct torture pinned = {.pinned = true}, control = {.pinned = false};
    pinned.program = control.program = argv[0];
    prng_init(&pinned.prng, prng_entropy());
    prng_init(&control.prng, prng_entropy());
    torture_run(&pinned, seconds);
    torture_run(&control, seconds);
    if (pinned.wrong + pinned.crashed > 0 || pinned.right == 0) return 1;
    if (control.wrong + control.crashed == 0)
    {
        printf("the control without pins found nothing: this test sees nothing\n");
        return 1;
    }
    return 0;
}
