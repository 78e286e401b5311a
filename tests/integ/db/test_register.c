/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a registration: making the device, generations, changes, the end, and its traces. */
/* spec: LWM2M-1.1-CORE#6.2 */
#include "tests/integ/db/dbt.h"

#define OK(e)        ck_assert_int_eq((e), DR_OK)
#define FAILS(e, er) ck_assert_int_eq((e), (er))

static struct db_register_in in;
static struct db_register_out out;

static dr_err_t do_register(struct db_writer *w, void *ctx)
{
    (void)ctx;
    return db_register(w, &in, &out);
}

static dr_err_t enroll(void)
{
    out = (struct db_register_out){.device = -1};
    in.event_ids[0]++;
    in.event_ids[1]++;
    return dbt_write(do_register, NULL);
}

static struct db_registration got;
static char got_text[5][128];
static int got_n;

static dr_err_t keep(void *data, const struct db_registration *row)
{
    (void)data;
    got = *row;
    got_n++;
    snprintf(got_text[0], 128, "%s", row->endpoint_name);
    snprintf(got_text[1], 128, "%s", row->binding);
    snprintf(got_text[2], 128, "%.*s", (int)row->links.len,
             row->links.len != 0 ? (const char *)row->links.p : "");
    snprintf(got_text[3], 128, "%s", row->address);
    snprintf(got_text[4], 128, "%s", row->endpoint_type);
    return DR_OK;
}

static dr_err_t load(struct db_reader *r, void *ctx)
{
    return db_registration_get(r, DBT_ACCOUNT, *(const int64_t *)ctx, keep, NULL);
}

static dr_err_t load_by_name(struct db_reader *r, void *ctx)
{
    return db_registration_find(r, DBT_ACCOUNT, (const char *)ctx, keep, NULL);
}

struct events {
    int n;
    char texts[16][64];
};

static dr_err_t one_event(void *data, const struct db_event *row)
{
    struct events *e = (struct events *)data;

    snprintf(e->texts[e->n++], 64, "%s", row->description);
    return DR_OK;
}

static dr_err_t load_events(struct db_reader *r, void *ctx)
{
    struct db_query q = {.account = DBT_ACCOUNT, .limit = 16};

    return db_event_list(r, &q, one_event, ctx, NULL);
}

static dr_err_t count_state(struct db_reader *r, void *ctx)
{
    const char *const values[] = {"registered"};
    struct db_cond c = {"state", DB_OP_EQ, values, 1};
    struct db_query q = {.account = DBT_ACCOUNT, .conds = &c, .n_conds = 1};

    return db_device_count(r, &q, (int64_t *)ctx, NULL);
}

static int64_t registered(void)
{
    int64_t n = -1;

    OK(dbt_read(count_state, &n));
    return n;
}

static void setup(void)
{
    dbt_setup();
    got_n = 0;
    in = (struct db_register_in){
        .account = DBT_ACCOUNT,
        .endpoint_name = "ep-1",
        .new_device = 7LL << 20,
        .event_ids = {100LL << 20, 200LL << 20},
        .at_ms = 5000,
        .lifetime_s = 60,
        .version_major = 1,
        .version_minor = 1,
        .binding = "UQ",
        .queue_mode = true,
        .links = dr_bytes_str("</3/0>"),
        .address = "[::1]:5683",
        .credential = 17,
        .credential_version = 2,
        .endpoint_type = "meter",
        .execution_mode = 1,
    };
}

START_TEST(a_first_register_makes_the_device)
{
    struct events e = {0};

    OK(enroll());
    ck_assert(out.created);
    ck_assert_int_eq(out.device, 7LL << 20);
    ck_assert_int_eq(out.generation, 1);
    ck_assert_int_eq(out.state_before, DB_DEVICE_UNENROLLED);
    OK(dbt_read(load, &out.device));
    ck_assert(got.registered);
    ck_assert(got.queue_mode);
    ck_assert(!got.blocked);
    ck_assert_int_eq(got.account, DBT_ACCOUNT);
    ck_assert_int_eq(got.generation, 1);
    ck_assert_int_eq(got.registered_at, 5000);
    ck_assert_int_eq(got.last_seen, 5000);
    ck_assert_int_eq(got.expires_at, 65000);
    ck_assert_int_eq(got.version_major * 10 + got.version_minor, 11);
    ck_assert_int_eq(got.credential, 17);
    ck_assert_int_eq(got.credential_version, 2);
    ck_assert_str_eq(got_text[0], "ep-1");
    ck_assert_str_eq(got_text[1], "UQ");
    ck_assert_str_eq(got_text[2], "</3/0>");
    ck_assert_str_eq(got_text[3], "[::1]:5683");
    ck_assert_str_eq(got_text[4], "meter");
    OK(dbt_read(load_events, &e));
    ck_assert_int_eq(e.n, 2);
    ck_assert_str_eq(e.texts[0], "device created");
    ck_assert_str_eq(e.texts[1], "device registered");
    ck_assert_int_eq(registered(), 1);
}
END_TEST

START_TEST(a_later_register_takes_the_next_generation_and_no_event)
{
    struct events e = {0};

    OK(enroll());
    in.new_device = 8LL << 20;
    in.at_ms = 9000;
    in.links = (struct dr_bytes){0};
    OK(enroll());
    ck_assert(!out.created);
    ck_assert_int_eq(out.device, 7LL << 20);
    ck_assert_int_eq(out.generation, 2);
    ck_assert_int_eq(out.state_before, DB_DEVICE_REGISTERED);
    OK(dbt_read(load_by_name, "ep-1"));
    ck_assert_int_eq(got.registered_at, 9000);
    ck_assert_str_eq(got_text[2], "");
    OK(dbt_read(load_events, &e));
    ck_assert_int_eq(e.n, 2);
    ck_assert_int_eq(registered(), 1);
}
END_TEST

START_TEST(a_claimed_generation_must_not_be_older)
{
    in.generation = 5;
    OK(enroll());
    ck_assert_int_eq(out.generation, 5);
    OK(enroll()); /* a repetition */
    ck_assert_int_eq(out.generation, 5);
    in.generation = 4;
    in.address = "stale";
    FAILS(enroll(), DR_ERR_STALE);
    ck_assert_int_eq(out.device, -1);
    OK(dbt_read(load_by_name, "ep-1"));
    ck_assert_str_eq(got_text[3], "[::1]:5683");
    in.generation = 0;
    OK(enroll());
    ck_assert_int_eq(out.generation, 6);
}
END_TEST

START_TEST(unknown_devices_and_accounts_are_not_found)
{
    in.new_device = 0;
    FAILS(enroll(), DR_ERR_NOT_FOUND);
    in.new_device = 7LL << 20;
    in.account = 4711;
    FAILS(enroll(), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(registered(), 0);
}
END_TEST

static dr_err_t make_by_operator(struct db_writer *w, void *ctx)
{
    struct db_device d = {.id = 3LL << 20,
                          .account = DBT_ACCOUNT,
                          .endpoint_name = "ep-1",
                          .operator_suspended = *(const bool *)ctx};

    return db_device_insert(w, &d, NULL);
}

START_TEST(a_device_that_the_operator_made_is_found)
{
    bool suspended = false;

    OK(dbt_write(make_by_operator, &suspended));
    OK(enroll());
    ck_assert(!out.created);
    ck_assert_int_eq(out.device, 3LL << 20);
    ck_assert_int_eq(out.generation, 1);
    ck_assert_int_eq(out.state_before, DB_DEVICE_UNENROLLED);
    ck_assert_int_eq(registered(), 1);
    OK(dbt_read(load_by_name, "ep-1"));
    ck_assert_str_eq(got_text[4], "meter");
}
END_TEST

START_TEST(a_suspended_device_is_denied)
{
    bool suspended = true;

    OK(dbt_write(make_by_operator, &suspended));
    FAILS(enroll(), DR_ERR_DENIED);
    ck_assert_int_eq(registered(), 0);
}
END_TEST

struct update {
    struct db_registration_update up;
};

static dr_err_t do_update(struct db_writer *w, void *ctx)
{
    return db_registration_update(w, &((struct update *)ctx)->up);
}

START_TEST(an_update_changes_what_its_mask_says)
{
    OK(enroll());
    struct update u = {.up = {.device = out.device,
                              .generation = 1,
                              .at_ms = 8000,
                              .mask = DB_REGISTRATION_LIFETIME,
                              .lifetime_s = 100,
                              .binding = "T",
                              .links = dr_bytes_str("</9/0>"),
                              .address = "moved"}};
    OK(dbt_write(do_update, &u));
    OK(dbt_read(load, &out.device));
    ck_assert_uint_eq(got.lifetime_s, 100);
    ck_assert_int_eq(got.last_seen, 8000);
    ck_assert_int_eq(got.expires_at, 108000);
    ck_assert_int_eq(got.registered_at, 5000);
    ck_assert_str_eq(got_text[1], "UQ");
    ck_assert_str_eq(got_text[2], "</3/0>");
    ck_assert_str_eq(got_text[3], "[::1]:5683");
    u.up.mask = DB_REGISTRATION_BINDING | DB_REGISTRATION_LINKS | DB_REGISTRATION_ADDRESS;
    u.up.at_ms = 7000; /* time does not go back */
    u.up.lifetime_s = 1;
    OK(dbt_write(do_update, &u));
    OK(dbt_read(load, &out.device));
    ck_assert_uint_eq(got.lifetime_s, 100);
    ck_assert_int_eq(got.last_seen, 8000);
    ck_assert_int_eq(got.expires_at, 108000);
    ck_assert(!got.queue_mode);
    ck_assert_str_eq(got_text[1], "T");
    ck_assert_str_eq(got_text[2], "</9/0>");
    ck_assert_str_eq(got_text[3], "moved");
    u.up.generation = 2;
    FAILS(dbt_write(do_update, &u), DR_ERR_STALE);
}
END_TEST

struct touches {
    struct db_touch t[4];
    size_t n;
};

static dr_err_t do_touch(struct db_writer *w, void *ctx)
{
    struct touches *t = (struct touches *)ctx;

    return db_registration_touch(w, t->t, 4, &t->n);
}

START_TEST(touching_skips_the_stale_and_never_goes_back)
{
    OK(enroll());
    int64_t dev = out.device;
    struct touches t = {.t = {{dev, 2, 9000}, {dev, 1, 4000}, {99, 1, 9000}, {dev, 1, 7000}}};
    OK(dbt_write(do_touch, &t));
    ck_assert_uint_eq(t.n, 1);
    OK(dbt_read(load, &dev));
    ck_assert_int_eq(got.last_seen, 7000);
    ck_assert_int_eq(got.expires_at, 67000);
}
END_TEST

struct gone {
    int64_t device, generation;
    enum db_gone why;
};

static dr_err_t do_gone(struct db_writer *w, void *ctx)
{
    const struct gone *g = (const struct gone *)ctx;

    return db_deregister(w, g->device, g->generation, g->why, 8000, 300LL << 20);
}

START_TEST(an_end_is_told_once)
{
    static const char *const texts[] = {"device deregistered", "registration expired",
                                        "device suspended"};
    struct events e = {0};

    OK(enroll());
    struct gone g = {out.device, 2, (enum db_gone)_i};
    FAILS(dbt_write(do_gone, &g), DR_ERR_STALE);
    g.generation = 1;
    OK(dbt_write(do_gone, &g));
    FAILS(dbt_write(do_gone, &g), DR_ERR_STALE);
    OK(dbt_read(load_events, &e));
    ck_assert_int_eq(e.n, 3);
    ck_assert_str_eq(e.texts[2], texts[_i]);
    ck_assert_int_eq(registered(), 0);
    OK(dbt_read(load, &out.device));
    ck_assert(!got.registered);
    /* and it may come back */
    OK(enroll());
    ck_assert_int_eq(out.state_before, DB_DEVICE_DEREGISTERED);
    ck_assert_int_eq(out.generation, 2);
    ck_assert_int_eq(registered(), 1);
}
END_TEST

static dr_err_t do_bump(struct db_writer *w, void *ctx)
{
    return db_generation_bump(w, DBT_ACCOUNT, out.device, (int64_t *)ctx);
}

static dr_err_t do_delete(struct db_writer *w, void *ctx)
{
    (void)ctx;
    return db_device_delete(w, DBT_ACCOUNT, out.device);
}

START_TEST(a_bump_makes_writes_on_their_way_stale)
{
    int64_t gen = 0;

    OK(enroll());
    OK(dbt_write(do_bump, &gen));
    ck_assert_int_eq(gen, 2);
    struct gone g = {out.device, 1, DB_GONE_EXPIRED};
    FAILS(dbt_write(do_gone, &g), DR_ERR_STALE);
    OK(dbt_write(do_delete, NULL));
    g.generation = 2;
    FAILS(dbt_write(do_gone, &g), DR_ERR_STALE);
    FAILS(dbt_read(load, &out.device), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(registered(), 0);
}
END_TEST

struct sweep {
    int64_t before;
    uint32_t limit;
};

static dr_err_t do_sweep(struct db_reader *r, void *ctx)
{
    const struct sweep *s = (const struct sweep *)ctx;

    return db_registration_expired(r, s->before, s->limit, keep, NULL);
}

static dr_err_t do_list(struct db_reader *r, void *ctx)
{
    return db_registration_list(r, *(const int64_t *)ctx, 1000, keep, NULL);
}

START_TEST(the_expired_are_found_earliest_first)
{
    char name[16];
    int64_t after = 0;

    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "ep-%d", i);
        in.endpoint_name = name;
        in.new_device = (int64_t)(i + 1) << 20;
        in.lifetime_s = (uint32_t)(100 - i);
        in.event_ids[0] += 10;
        in.event_ids[1] += 10;
        OK(enroll());
    }
    struct sweep s = {5000 + 85 * 1000, 100};
    OK(dbt_read(do_sweep, &s));
    ck_assert_int_eq(got_n, 5); /* lifetimes 81..85 */
    ck_assert_uint_eq(got.lifetime_s, 85);
    got_n = 0;
    s.limit = 2;
    OK(dbt_read(do_sweep, &s));
    ck_assert_int_eq(got_n, 2);
    ck_assert_uint_eq(got.lifetime_s, 82);
    struct gone g = {20LL << 20, 1, DB_GONE_EXPIRED};
    OK(dbt_write(do_gone, &g));
    got_n = 0;
    s.limit = 100;
    OK(dbt_read(do_sweep, &s));
    ck_assert_int_eq(got_n, 4);
    got_n = 0;
    OK(dbt_read(do_list, &after));
    ck_assert_int_eq(got_n, 19);
    after = 10LL << 20;
    got_n = 0;
    OK(dbt_read(do_list, &after));
    ck_assert_int_eq(got_n, 9);
}
END_TEST

START_TEST(a_new_type_moves_its_counter)
{
    OK(enroll());
    in.endpoint_type = "lamp";
    OK(enroll());
    in.endpoint_type = NULL;
    OK(enroll());
    OK(dbt_read(load_by_name, "ep-1"));
    ck_assert_str_eq(got_text[4], "lamp");
} /* teardown checks the counters */
END_TEST

int main(void)
{
    Suite *s = suite_create("db/register");
    TCase *tc = tcase_create("register");

    tcase_add_checked_fixture(tc, setup, dbt_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_first_register_makes_the_device);
    tcase_add_test(tc, a_later_register_takes_the_next_generation_and_no_event);
    tcase_add_test(tc, a_claimed_generation_must_not_be_older);
    tcase_add_test(tc, unknown_devices_and_accounts_are_not_found);
    tcase_add_test(tc, a_device_that_the_operator_made_is_found);
    tcase_add_test(tc, a_suspended_device_is_denied);
    tcase_add_test(tc, an_update_changes_what_its_mask_says);
    tcase_add_test(tc, touching_skips_the_stale_and_never_goes_back);
    tcase_add_loop_test(tc, an_end_is_told_once, 0, 3);
    tcase_add_test(tc, a_bump_makes_writes_on_their_way_stale);
    tcase_add_test(tc, the_expired_are_found_earliest_first);
    tcase_add_test(tc, a_new_type_moves_its_counter);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
