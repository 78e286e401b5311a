/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define PATH_TEXT_MAX 512
#define WATCH_MS      1000

/* "/v3/update-campaigns/<id><middle><device><tail>" */
static int campaign_path(char *buf, const char *id, const char *middle, const char *device,
                         const char *tail)
{
    char *a = cli_escape(id), *b = cli_escape(device);
    int n = a == NULL || b == NULL
                ? -1
                : snprintf(buf, PATH_TEXT_MAX, "/v3/update-campaigns/%s%s%s%s", a, middle, b, tail);

    free(a);
    free(b);
    return n < 0 || n >= PATH_TEXT_MAX ? cli_fail(CLI_USAGE, "the id is too long") : CLI_OK;
}

static int post(struct cli *c, int argc, char **argv, const char *method, const char *tail)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 1 ? CLI_USAGE : campaign_path(path, argv[0], tail, "", "");

    if (rc == CLI_OK) {
        struct cli_answer a;
        cli_request(c, method, path, NULL, &a);
        rc = cli_answer_check(&a);
        cli_answer_fini(&a);
    }
    return rc;
}

static int campaign_start(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/start");
}

static int campaign_stop(struct cli *c, int argc, char **argv)
{
    bool hard = argc == 2 && strcmp(argv[1], "--hard") == 0;

    return post(c, hard ? 1 : argc, argv, "POST", hard ? "/stop?hard=true" : "/stop");
}

static int campaign_pause(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/hold");
}

static int campaign_resume(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/resume");
}

static int campaign_drain(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/drain");
}

static int campaign_approve(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/approve");
}

static int campaign_deny(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/deny");
}

static int campaign_advance(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/advance");
}

static int campaign_retry(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/retry");
}

static int campaign_rm(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "DELETE", "");
}

static bool print_campaign(void *data, const json_t *item)
{
    const struct cli *c = data;

    if (c->json) {
        cli_print_json(c, item);
    } else {
        printf("%-32s  %-9s  %-14s  %s\n", cli_text(item, "id"), cli_text(item, "phase"),
               cli_text(item, "state"), cli_text(item, "name"));
    }
    return true;
}

static int campaign_ls(struct cli *c, int argc, char **argv)
{
    (void)argv;
    if (argc != 0) {
        return CLI_USAGE;
    }
    if (!c->json) {
        printf("%-32s  %-9s  %-14s  %s\n", "ID", "PHASE", "STATE", "NAME");
    }
    return cli_list(c, "/v3/update-campaigns", "", -1, print_campaign, c);
}

static long long count(const json_t *progress, const char *key)
{
    return (long long)json_integer_value(json_object_get(progress, key));
}

/* ---- create ---- */

/* "1,5,25,100": waves that grow to these shares of all, each behind a gate. */
static json_t *waves_parse(const char *text, double error)
{
    json_t *list = json_array();
    double before = 0;

    while (list != NULL && *text != '\0') {
        char *end;
        double to = strtod(text, &end);
        if (end == text || to <= before || to > 100 || (*end != ',' && *end != '\0')) {
            json_decref(list);
            return NULL;
        }
        json_t *wave = to < 100
                           ? json_pack("{s:f,s:f}", "percent", to - before, "error_percent", error)
                           : json_pack("{s:b,s:f}", "rest", 1, "error_percent", error);
        (void)json_array_append_new(list, wave);
        before = to;
        text = *end == ',' ? end + 1 : end;
    }
    return list;
}

struct create {
    const char *name, *filter, *manifest, *when, *waves;
    const char *window, *zone;
    double error;
    uint64_t in_flight, rate, bytes;
    bool start, approval;
};

static bool number(const char *text, uint64_t max, uint64_t *ret)
{
    return dr_parse_u64_max(text, strlen(text), max, ret) == DR_OK;
}

static int create_parse(int argc, char **argv, struct create *o)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'},      {"filter", required_argument, NULL, 'f'},
        {"manifest", required_argument, NULL, 'm'},  {"when", required_argument, NULL, 'w'},
        {"waves", required_argument, NULL, 'W'},     {"max-failed", required_argument, NULL, 'e'},
        {"in-flight", required_argument, NULL, 'i'}, {"rate", required_argument, NULL, 'r'},
        {"start", no_argument, NULL, 's'},           {"bytes", required_argument, NULL, 'b'},
        {"window", required_argument, NULL, 'o'},    {"time-zone", required_argument, NULL, 'z'},
        {"approval", no_argument, NULL, 'a'},        {0}};
    int opt;
    char *end = NULL;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "+", options, NULL)) != -1) {
        switch (opt) {
        case 'n':
            o->name = optarg;
            break;
        case 'f':
            o->filter = optarg;
            break;
        case 'm':
            o->manifest = optarg;
            break;
        case 'w':
            o->when = optarg;
            break;
        case 'W':
            o->waves = optarg;
            break;
        case 's':
            o->start = true;
            break;
        case 'a':
            o->approval = true;
            break;
        case 'o':
            o->window = optarg;
            break;
        case 'z':
            o->zone = optarg;
            break;
        case 'b':
            if (!number(optarg, 1ULL << 40, &o->bytes)) {
                return CLI_USAGE;
            }
            break;
        case 'e':
            o->error = strtod(optarg, &end);
            if (end == optarg || *end != '\0' || o->error < 0 || o->error > 100) {
                return CLI_USAGE;
            }
            break;
        case 'i':
            if (!number(optarg, 100000, &o->in_flight)) {
                return CLI_USAGE;
            }
            break;
        case 'r':
            if (!number(optarg, 1000000, &o->rate)) {
                return CLI_USAGE;
            }
            break;
        default:
            return CLI_USAGE;
        }
    }
    return optind != argc + 1 || o->filter == NULL ? CLI_USAGE : CLI_OK;
}

/* "22:00-04:30" */
static json_t *window_parse(const char *text, const char *zone)
{
    const char *dash = strchr(text, '-');

    if (dash == NULL) {
        return NULL;
    }
    return json_pack("{s:s%,s:s,s:s?}", "from", text, (size_t)(dash - text), "to", dash + 1,
                     "time_zone", zone);
}

static void set_text(json_t *body, const char *key, const char *text)
{
    if (text != NULL) {
        (void)json_object_set_new(body, key, json_string(text));
    }
}

static void set_number(json_t *body, const char *key, uint64_t n)
{
    if (n != 0) {
        (void)json_object_set_new(body, key, json_integer((json_int_t)n));
    }
}

/* NULL: said what is wrong. */
static json_t *create_body(const struct create *o)
{
    json_t *waves = o->waves == NULL ? NULL : waves_parse(o->waves, o->error);
    json_t *window = o->window == NULL ? NULL : window_parse(o->window, o->zone);
    const char *wrong =
        o->waves != NULL && waves == NULL ? "waves are growing shares in percent, as in 1,5,25,100"
        : o->window != NULL && window == NULL ? "a window is two times of day, as in 22:00-04:30"
        : o->zone != NULL && window == NULL   ? "--time-zone goes with --window"
                                              : NULL;
    if (wrong != NULL) {
        json_decref(waves);
        json_decref(window);
        (void)cli_fail(CLI_USAGE, "%s", wrong);
        return NULL;
    }
    json_t *body = json_pack("{s:s,s:{}}", "device_filter", o->filter, "x_limits");
    json_t *limits = json_object_get(body, "x_limits");
    set_number(limits, "max_in_flight", o->in_flight);
    set_number(limits, "rate_per_minute", o->rate);
    set_number(limits, "bytes_per_second", o->bytes);
    if (waves != NULL) {
        (void)json_object_set_new(body, "x_waves", waves);
    }
    if (window != NULL) {
        (void)json_object_set_new(body, "x_window", window);
    }
    if (o->approval) {
        (void)json_object_set_new(body, "approval_required", json_true());
    }
    set_text(body, "name", o->name);
    set_text(body, "root_manifest_id", o->manifest);
    set_text(body, "when", o->when);
    return body;
}

static int campaign_create(struct cli *c, int argc, char **argv)
{
    struct create o = {.error = 10};
    int rc = create_parse(argc, argv, &o);
    json_t *body = rc == CLI_OK ? create_body(&o) : NULL;

    if (body == NULL) {
        return CLI_USAGE;
    }
    struct cli_answer a;
    cli_request(c, "POST", "/v3/update-campaigns", body, &a);
    json_decref(body);
    rc = cli_answer_check(&a);
    if (rc == CLI_OK && o.start) {
        char *id = strdup(cli_text(a.json, "id"));
        char *words[] = {id, NULL};
        rc = id == NULL ? CLI_FAILED : campaign_start(c, 1, words);
        free(id);
    }
    if (rc == CLI_OK) {
        return cli_answer_made(c, &a);
    }
    cli_answer_fini(&a);
    return rc;
}

/* A new draft from the rules of another campaign. */
static int again(struct cli *c, const char *id, const char *tail, json_t *body)
{
    char path[PATH_TEXT_MAX];
    int rc = campaign_path(path, id, tail, "", "");

    if (rc == CLI_OK) {
        struct cli_answer a;
        cli_request(c, "POST", path, body, &a);
        rc = cli_answer_made(c, &a);
    }
    json_decref(body);
    return rc;
}

static int campaign_clone(struct cli *c, int argc, char **argv)
{
    if (argc != 1 && (argc != 3 || strcmp(argv[1], "--devices") != 0)) {
        return CLI_USAGE;
    }
    return again(c, argv[0], "/clone",
                 argc == 1 ? json_object()
                           : json_pack("{s:{s:s,s:s}}", "x_source", "campaign_id", argv[0],
                                       "devices", argv[2]));
}

static int campaign_rollback(struct cli *c, int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "--manifest") != 0) {
        return CLI_USAGE;
    }
    return again(c, argv[0], "/rollback", json_pack("{s:s}", "root_manifest_id", argv[2]));
}

/* What a start would do. */
static int campaign_plan(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 1 ? CLI_USAGE : campaign_path(path, argv[0], "/dry-run", "", "");
    struct cli_answer a;
    size_t i;
    json_t *item;

    if (rc != CLI_OK) {
        return rc;
    }
    cli_request(c, "GET", path, NULL, &a);
    rc = cli_answer_check(&a);
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    } else if (rc == CLI_OK) {
        json_array_foreach(json_object_get(a.json, "waves"), i, item)
        {
            printf("wave %lld: %lld of %lld devices would be updated\n", count(item, "wave"),
                   count(item, "update_count"), count(item, "total_count"));
        }
        printf("%lld devices: %lld of another kind, %lld in another campaign; %lld to update are "
               "not registered now\n",
               count(a.json, "total_count"), count(a.json, "wrong_kind_count"),
               count(a.json, "other_campaign_count"), count(a.json, "unregistered_count"));
    }
    cli_answer_fini(&a);
    return rc;
}

/* ---- watch, explain ---- */

/* A line when something changed, until the campaign has ended; exit 1 if devices failed. */
static int campaign_watch(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX], line[256], last[256] = "";
    int rc = argc != 1 ? CLI_USAGE : campaign_path(path, argv[0], "", "", "");

    while (rc == CLI_OK) {
        struct cli_answer a;
        cli_request(c, "GET", path, NULL, &a);
        rc = cli_answer_check(&a);
        if (rc != CLI_OK) {
            cli_answer_fini(&a);
            break;
        }
        const json_t *p = json_object_get(a.json, "x_progress");
        const char *phase = cli_text(a.json, "phase"), *hold = cli_text(a.json, "x_hold_reason");
        long long failed = count(p, "failed");
        bool end = strcmp(phase, "stopped") == 0 || strcmp(phase, "archived") == 0;
        (void)snprintf(line, sizeof line,
                       "%s/%s  waiting %lld  under way %lld  away %lld  done %lld  failed %lld  "
                       "skipped %lld%s%.80s",
                       phase, cli_text(a.json, "state"), count(p, "waiting"), count(p, "in_flight"),
                       count(p, "away"), count(p, "succeeded"), failed, count(p, "skipped"),
                       hold[0] != '\0' ? "  held: " : "", hold);
        if (c->json && strcmp(line, last) != 0) {
            cli_print_json(c, a.json);
        } else if (!end && strcmp(line, last) != 0) {
            puts(line);
        }
        (void)fflush(stdout);
        memcpy(last, line, sizeof last);
        if (end) {
            if (!c->json) {
                printf("%s/%s  %s\n", phase, cli_text(a.json, "state"),
                       cli_text(a.json, "autostop_reason"));
            }
            cli_answer_fini(&a);
            /* the figures of a campaign that has ended are in its statistics */
            char tail[PATH_TEXT_MAX];
            rc = campaign_path(tail, argv[0], "/metrics", "", "");
            cli_request(c, "GET", tail, NULL, &a);
            rc = rc == CLI_OK ? cli_answer_check(&a) : rc;
            failed = rc == CLI_OK ? count(a.json, "failed_count") : 0;
            if (rc == CLI_OK && !c->json) {
                printf(
                    "%lld devices: %lld succeeded, %lld failed, %lld skipped, %lld not reached\n",
                    count(a.json, "total_count"), count(a.json, "success_count"), failed,
                    count(a.json, "skipped_count"), count(a.json, "pending_count"));
            }
            cli_answer_fini(&a);
            return rc == CLI_OK && failed != 0 ? CLI_FAILED : rc;
        }
        cli_answer_fini(&a);
        (void)usleep(WATCH_MS * 1000);
    }
    return rc;
}

static int campaign_explain(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 2 ? CLI_USAGE : campaign_path(path, argv[0], "/devices/", argv[1], "/explain");
    struct cli_answer a;

    if (rc != CLI_OK) {
        return rc;
    }
    cli_request(c, "GET", path, NULL, &a);
    rc = cli_answer_check(&a);
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    } else if (rc == CLI_OK) {
        printf("%s\n", cli_text(a.json, "explanation"));
    }
    cli_answer_fini(&a);
    return rc;
}

const struct cli_command cli_campaign_commands[] = {
    {"campaign", "create",
     "--filter F [--manifest ID] [--name N] [--when T] [--waves 1,5,25,100] [--max-failed PCT] "
     "[--in-flight N] [--rate N] [--bytes N] [--window 22:00-04:30 [--time-zone Europe/Oslo]] "
     "[--approval] [--start]",
     "make a campaign", campaign_create},
    {"campaign", "plan", "ID", "say what a start would do now", campaign_plan},
    {"campaign", "start", "ID", "start it", campaign_start},
    {"campaign", "approve", "ID", "let it begin; with another key than it was started with",
     campaign_approve},
    {"campaign", "deny", "ID", "make it a draft again", campaign_deny},
    {"campaign", "stop", "ID [--hard]", "stop it; --hard: also what is downloading", campaign_stop},
    {"campaign", "pause", "ID", "begin with no more devices", campaign_pause},
    {"campaign", "drain", "ID", "pause, and call back what has not begun to download",
     campaign_drain},
    {"campaign", "resume", "ID", "go on, also past a gate that has tripped", campaign_resume},
    {"campaign", "advance", "ID", "open the next wave now", campaign_advance},
    {"campaign", "retry", "ID", "try again what has failed", campaign_retry},
    {"campaign", "clone", "ID [--devices succeeded|failed|remaining]",
     "make a draft with the same rules, for the same filter or some of its devices",
     campaign_clone},
    {"campaign", "rollback", "ID --manifest ID",
     "make a draft that takes the devices that succeeded elsewhere", campaign_rollback},
    {"campaign", "watch", "ID", "show its progress until it ends", campaign_watch},
    {"campaign", "explain", "CAMPAIGN DEVICE", "say why a device is not done", campaign_explain},
    {"campaign", "ls", "", "list campaigns", campaign_ls},
    {"campaign", "rm", "ID", "delete one that is a draft or has ended", campaign_rm},
    {0}};
