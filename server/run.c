/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: the main thread is the control loop (REST, devices' control half), one thread a shard
 * (engine, devices' shard half), and the store's own. Start goes bottom up, stop top down:
 *
 *     lock, keys, database, models, trust, sockets → loops → devices → engines → REST → ready
 *     REST closed → devices written → engines closed → loops joined → everything freed → database
 * closed
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "campaigns/content.h"
#include "db/account.h"
#include "db/enrollment.h"
#include "lwm2m/model_xml.h"
#include "server/run_priv.h"
#include "server/sync.h"

#define DRAIN_TURNS 16
#define MIB         (1024ULL * 1024)

static int exit_of(dr_err_t err)
{
    switch (err) {
    case DR_OK:
        return SRV_EXIT_OK;
    case DR_ERR_IN_USE:
        return SRV_EXIT_IN_USE;
    case DR_ERR_INVAL:
    case DR_ERR_RANGE:
    case DR_ERR_UNSUPPORTED:
    case DR_ERR_CRYPTO:
    case DR_ERR_PROTO:
        return SRV_EXIT_USAGE;
    default:
        return SRV_EXIT_FAILED;
    }
}

/* ---- before the loops ---- */

static dr_err_t find_account(void *data, const struct db_account *row)
{
    *(int64_t *)data = row->id;
    return DR_OK;
}

static dr_err_t read_account(struct db_reader *r, void *data)
{
    return db_account_list(r, 0, 1, find_account, data);
}

static dr_err_t end_interrupted(struct db_writer *w, void *data)
{
    (void)data;
    return db_bulk_interrupted(w, dr_wall_ms());
}

static dr_err_t open_store(struct srv *s)
{
    dr_err_t err = srv_keys_open(s->config->data, true, &s->keys, s->reterr);
    if (err != DR_OK) {
        return err;
    }
    const struct db_seal seal = srv_keys_seal(&s->keys);
    const struct db_config config = {
        .dir = s->config->data,
        .seal = &seal,
        .free_min_bytes = s->config->disk_min_free_mb * MIB,
        .fsync_delay_ms = (uint32_t)s->config->test_fsync_delay_ms,
    };
    err = db_open(&config, &s->db, s->reterr);
    if (err == DR_OK) {
        err = srv_write_sync(s->db, end_interrupted, NULL);
    }
    if (err == DR_OK) {
        err = srv_keys_install(&s->keys, s->config->data, s->reterr);
    }
    if (err == DR_OK) {
        err = srv_read_sync(s->db, read_account, &s->account);
        if (err == DR_OK && s->account == 0) {
            dr_errinfo_set(s->reterr, s->config->data, 0, "the database has no account");
            err = DR_ERR_CORRUPT;
        }
    }
    return err;
}

static dr_err_t load_models(struct srv *s)
{
    size_t count = 0;
    dr_err_t err = lwm2m_models_new(&s->models);

    if (err == DR_OK && s->config->objects[0] != '\0') {
        err = lwm2m_models_load_folder(s->models, s->config->objects, &count, s->reterr);
        if (err == DR_OK) {
            dr_log(DR_LOG_INFO, "server", "%zu object definitions loaded from '%s'", count,
                   s->config->objects);
        }
    }
    return err;
}

static dr_err_t make_loops(struct srv *s)
{
    dr_err_t err = loop_new("control", &s->control);

    for (unsigned i = 0; err == DR_OK && i < s->n_shards; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "shard-%u", i);
        err = loop_new(name, &s->shards[i].loop);
        s->loops[i] = s->shards[i].loop;
    }
    return err;
}

static dr_err_t make_devices(struct srv *s)
{
    dr_err_t err = dr_path_join(s->run_dir, s->config->data, "run");

    const struct dev_config config = {
        .control = s->control,
        .db = s->db,
        .models = s->models,
        .shards = s->n_shards,
        .shard_loops = s->loops,
        .run_dir = s->run_dir,
        .grace_s = (uint32_t)s->config->grace_s,
        .awake_s = (uint32_t)s->config->awake_s,
        .events_keep_days = (uint32_t)s->config->events_keep_days,
        .nosec_account = s->config->coap.off ? 0 : s->account,
        .trust = s->trust,
    };
    err = err == DR_OK ? dev_core_new(&config, &s->devices, s->reterr) : err;
    if (err == DR_OK) {
        dev_trust_set_core(s->trust, s->devices);
    }
    return err;
}

static dr_err_t make_boot(struct srv *s)
{
    dr_err_t err = srv_boot_security_new(s, &s->boot_security);

    bool own = s->config->coaps_cert[0] == '\0'; /* else its devices trust the end of that chain */
    const struct dev_boot_config config = {
        .control = s->control,
        .db = s->db,
        .core = s->devices,
        .models = s->models,
        .shards = s->n_shards,
        .shard_loops = s->loops,
        .server_uri = s->lwm2m_uri,
        .server_ca = dr_bytes_of(s->server_ca, s->server_ca_len),
        .server_cert = own ? cert_install_server_der(s->keys.install, CERT_SERVER_LWM2M)
                           : (struct dr_bytes){0},
        .issue = srv_boot_issue,
        .identify = srv_boot_identify,
        .data = s,
    };
    return err == DR_OK ? dev_boot_new(&config, &s->boot) : err;
}

/* Certificates for keys that devices make, on both ports, and their renewal. */
static dr_err_t make_est(struct srv *s)
{
    dr_err_t err = dev_est_new(s->issuer, s->db, &s->est);

    if (err == DR_OK) {
        err = dev_core_route(s->devices, "est", dev_est_request, s->est);
    }
    if (err == DR_OK && s->boot != NULL) {
        err = dev_boot_route(s->boot, "est", dev_est_request, s->est);
    }
    return err == DR_OK ? dev_renewals_new(s->control, s->devices, s->db, &s->renewals) : err;
}

static dr_err_t make_campaigns(struct srv *s)
{
    char dir[DR_PATH_MAX], secure[CAMP_BASE_MAX + 1], open[CAMP_BASE_MAX + 1];
    dr_err_t err = dr_path_join(dir, s->config->data, "images");

    srv_uri_of(s, "coaps", &s->config->coaps, s->coaps, secure);
    srv_uri_of(s, "coap", &s->config->coap, s->coap, open);
    if (err == DR_OK) {
        const struct camp_images_config images = {
            .control = s->control,
            .db = s->db,
            .dir = dir,
            .image_max = s->config->image_max_mb * MIB,
            .upload_max = s->config->upload_max_mb * MIB,
            .chunk_max = s->config->chunk_max_mb * MIB,
            .free_min_bytes = s->config->disk_min_free_mb * MIB,
            .bases = {secure, open},
        };
        err = camp_images_new(&images, &s->images, s->reterr);
    }
    if (err == DR_OK) {
        const struct camp_downloads_config downloads = {
            .control = s->control,
            .db = s->db,
            .images = s->images,
            .shards = s->n_shards,
            .shard_loops = s->loops,
        };
        err = camp_downloads_new(&downloads, &s->downloads);
    }
    if (err == DR_OK) {
        err = camp_downloads_route(s->downloads, s->devices);
    }
    if (err != DR_OK) {
        return err;
    }
    const struct camp_config config = {
        .control = s->control,
        .db = s->db,
        .devices = s->devices,
        .content = camp_content_read,
        .content_data = s->images,
    };
    return camp_engine_new(&config, &s->campaigns);
}

/* ---- on the loops ---- */

static void stop_all(struct srv *s, dr_err_t err);

/* First the threads, then (on each shard's own thread) the engine and its sockets. */
static struct cx_limits limits_of(const struct srv_config *c)
{
    return (struct cx_limits){.peers_max = (uint32_t)c->peers_max,
                              .half_open_max = (uint32_t)c->half_open_max,
                              .body_max = (uint32_t)c->body_max,
                              .handshake_cpu_pct = (uint32_t)c->handshake_cpu_pct,
                              .nosec_idle_s = (uint32_t)c->nosec_idle_s,
                              .streams_max = (uint32_t)c->tcp_max,
                              .streams_per_addr_max = (uint32_t)c->tcp_per_address,
                              .stream_hello_s = (uint32_t)c->tcp_hello_s,
                              .stream_idle_s = (uint32_t)c->tcp_idle_s};
}

/* Give both sockets of a port to an engine. */
static dr_err_t boot_engine_start(struct shard *sh)
{
    struct srv *s = sh->srv;
    struct cx_limits limits = limits_of(s->config);
    limits.assoc_idle_s = limits.stream_idle_s = DEV_BOOT_ASSOC_IDLE_S;
    const struct cx_engine_config config = {
        .loop = sh->loop,
        .shard = sh->index,
        .shards = s->n_shards,
        .security = s->boot_security,
        .limits = limits,
        .ops = &dev_boot_cx_ops,
        .data = dev_boot_shard(s->boot, sh->index),
    };
    dr_err_t err = cx_engine_new(&config, &sh->boot_engine);

    if (err == DR_OK) {
        dev_boot_set_engine(s->boot, sh->index, sh->boot_engine);
        dev_trust_engine(s->trust, sh->index, sh->loop, sh->boot_engine, CERT_SERVICE_BOOTSTRAP);
        err = srv_port_adopt(sh->boot_engine, &sh->boot, true);
    }
    return err;
}

static void engine_start(struct loop_call *call)
{
    struct shard *sh = DR_CONTAINER_OF(call, struct shard, call);
    struct srv *s = sh->srv;
    const struct cx_engine_config config = {
        .loop = sh->loop,
        .shard = sh->index,
        .shards = s->n_shards,
        .security = s->security,
        .limits = limits_of(s->config),
        .ops = &dev_cx_ops,
        .data = dev_core_shard(s->devices, sh->index),
    };
    dr_err_t err = cx_engine_new(&config, &sh->engine);

    if (err == DR_OK) {
        dev_core_set_engine(s->devices, sh->index, sh->engine);
        dev_trust_engine(s->trust, sh->index, sh->loop, sh->engine, CERT_SERVICE_LWM2M);
    }
    if (err == DR_OK) {
        err = srv_port_adopt(sh->engine, &sh->coaps, true);
    }
    if (err == DR_OK) {
        err = srv_port_adopt(sh->engine, &sh->coap, false);
    }
    if (err == DR_OK && s->boot != NULL) {
        err = boot_engine_start(sh);
    }
    loop_call_done(call, err);
}

static void say_ready(struct srv *s)
{
    const char *metrics = rest_metrics_address(s->rest);
    const struct srv_ready ready = {
        .coap = s->coap[0] ? s->coap : NULL,
        .coaps = s->coaps[0] ? s->coaps : NULL,
        .bootstrap = s->bootstrap[0] ? s->bootstrap : NULL,
        .http = rest_address(s->rest),
        .metrics = metrics != NULL && metrics[0] ? metrics : NULL,
    };
    dr_err_t err = srv_folder_ready(s->config->data, &ready, s->reterr);
    if (err != DR_OK) {
        stop_all(s, err);
        return;
    }
    s->started = true;
    DR_LOG(DR_LOG_INFO, "server", "ready", DR_F_STR("coaps", s->coaps), DR_F_STR("coap", s->coap),
           DR_F_STR("bootstrap", s->bootstrap), DR_F_STR("http", ready.http),
           DR_F_UINT("shards", s->n_shards));
#ifdef HAVE_SYSTEMD
    (void)sd_notify(0, "READY=1");
#endif
    if (s->stop_wanted) {
        stop_all(s, DR_OK);
    }
}

/* ---- new certificates for our servers ---- */

static void renew_shard(struct loop_call *call)
{
    struct shard *sh = DR_CONTAINER_OF(call, struct shard, renew_call);

    if (sh->engine != NULL) {
        cx_engine_reload(sh->engine, sh->renewed);
    }
    if (sh->boot_engine != NULL) {
        cx_engine_reload(sh->boot_engine, sh->boot_renewed);
    }
    loop_call_done(call, DR_OK);
}

static void renewed(struct loop_call *call, dr_err_t err)
{
    struct shard *sh = DR_CONTAINER_OF(call, struct shard, renew_call);

    (void)err;
    sh->renewed = cx_security_unref(sh->renewed);
    sh->boot_renewed = cx_security_unref(sh->boot_renewed);
    sh->srv->renewing--;
}

/* On control. Associations that live stay as they are. */
static dr_err_t renew(void *data)
{
    struct srv *s = data;
    struct cx_security *fresh = NULL, *boot_fresh = NULL;
    dr_err_t err = s->renewing != 0 || s->stopping ? DR_ERR_BUSY : DR_OK;

    for (int i = 0; i < CERT_N_SERVERS && err == DR_OK; i++) {
        err = cert_install_renew(s->keys.install, (enum cert_server)i, s->reterr);
    }
    if (err == DR_OK) {
        err = srv_security_new(s, &fresh);
    }
    if (err == DR_OK) {
        err = srv_boot_security_new(s, &boot_fresh);
    }
    if (err != DR_OK) {
        (void)cx_security_unref(fresh);
        return err;
    }
    s->renewing = s->n_shards;
    for (unsigned i = 0; i < s->n_shards; i++) {
        struct shard *sh = &s->shards[i];
        sh->renewed = cx_security_ref(fresh);
        sh->boot_renewed = cx_security_ref(boot_fresh);
        loop_call_start(sh->loop, &sh->renew_call, renew_shard, renewed);
    }
    (void)cx_security_unref(s->security);
    (void)cx_security_unref(s->boot_security);
    s->security = fresh;
    s->boot_security = boot_fresh;
    dr_log(DR_LOG_INFO, "server", "server certificates renewed");
    return DR_OK;
}

/* Before the devices start: what they tell again has somewhere to go. */
static dr_err_t make_rest(struct srv *s)
{
    const struct rest_config config = {
        .control = s->control,
        .db = s->db,
        .devices = s->devices,
        .campaigns = s->campaigns,
        .data_dir = s->config->data,
        .images = s->images,
        .install = s->keys.install,
        .trust = s->trust,
        .renew = renew,
        .renew_data = s,
        .bootstrap_uri = s->bootstrap_uri,
        .lwm2m_uri = s->lwm2m_uri,
        .server_ca = s->server_ca,
        .server_ca_len = s->server_ca_len,
        .renewals = s->renewals,
        .version = PACKAGE_VERSION,
    };
    return rest_new(&config, &s->rest);
}

static dr_err_t start_rest(struct srv *s)
{
    char http[ADDRESS_MAX], metrics[ADDRESS_MAX];
    const struct srv_addr *a = &s->config->http, *m = &s->config->metrics;
    bool v6 = strchr(a->host, ':') != NULL, m6 = strchr(m->host, ':') != NULL;

    (void)snprintf(http, sizeof http, "%s%s%s:%u", v6 ? "[" : "", a->host, v6 ? "]" : "", a->port);
    (void)snprintf(metrics, sizeof metrics, "%s%s%s:%u", m6 ? "[" : "", m->host, m6 ? "]" : "",
                   m->port);
    const struct rest_listen where = {
        .http = http,
        .cert = s->config->http_cert[0] ? s->config->http_cert : NULL,
        .key = s->config->http_key[0] ? s->config->http_key : NULL,
        .metrics = m->off ? NULL : metrics,
    };
    return rest_listen(s->rest, &where, s->reterr);
}

static void engines_started(struct loop_call *call, dr_err_t err)
{
    struct srv *s = DR_CONTAINER_OF(call, struct shard, call)->srv;

    if (err != DR_OK && s->exit_code == SRV_EXIT_OK) {
        dr_errinfo_set(s->reterr, "engine", 0, "cannot start: %s", dr_err_str(err));
        s->exit_code = exit_of(err);
    }
    if (--s->pending > 0) {
        return;
    }
    if (s->exit_code != SRV_EXIT_OK) {
        stop_all(s, DR_ERR_INTERNAL);
        return;
    }
    dr_err_t rest = start_rest(s);
    if (rest != DR_OK) {
        stop_all(s, rest);
        return;
    }
    say_ready(s);
}

static void devices_started(void *data, dr_err_t err)
{
    struct srv *s = data;

    if (err != DR_OK) {
        dr_errinfo_set(s->reterr, "devices", 0, "cannot load: %s", dr_err_str(err));
        stop_all(s, err);
        return;
    }
    camp_engine_run(s->campaigns);
    s->pending = s->n_shards;
    for (unsigned i = 0; i < s->n_shards; i++) {
        loop_call_start(s->shards[i].loop, &s->shards[i].call, engine_start, engines_started);
    }
}

static void campaigns_loaded(void *data, dr_err_t err)
{
    struct srv *s = data;

    if (err != DR_OK) {
        dr_errinfo_set(s->reterr, "campaigns", 0, "cannot load: %s", dr_err_str(err));
        stop_all(s, err);
        return;
    }
    dev_core_start(s->devices, devices_started, s);
}

/* ---- stop ---- */

static void engine_closed(void *data)
{
    loop_call_done(data, DR_OK);
}

static void engine_close(struct shard *sh)
{
    if (sh->engine == NULL) {
        loop_call_done(&sh->call, DR_OK);
        return;
    }
    cx_engine_goodbye(sh->engine); /* associations do not outlive the process */
    cx_engine_close(sh->engine, engine_closed, &sh->call);
}

static void boot_engine_closed(void *data)
{
    engine_close(data);
}

static void engine_stop(struct loop_call *call)
{
    struct shard *sh = DR_CONTAINER_OF(call, struct shard, call);

    if (sh->boot_engine == NULL) {
        engine_close(sh);
        return;
    }
    cx_engine_goodbye(sh->boot_engine);
    cx_engine_close(sh->boot_engine, boot_engine_closed, sh);
}

static void engines_stopped(struct loop_call *call, dr_err_t err)
{
    struct srv *s = DR_CONTAINER_OF(call, struct shard, call)->srv;

    (void)err;
    if (--s->pending == 0) {
        loop_stop(s->control);
    }
}

static void devices_stopped(void *data)
{
    struct srv *s = data;

    s->pending = s->n_shards;
    for (unsigned i = 0; i < s->n_shards; i++) {
        loop_call_start(s->shards[i].loop, &s->shards[i].call, engine_stop, engines_stopped);
    }
}

static void boot_stopped(void *data)
{
    struct srv *s = data;

    dev_core_stop(s->devices, devices_stopped, s);
}

static void images_stopped(void *data)
{
    struct srv *s = data;

    if (s->boot != NULL) {
        dev_boot_stop(s->boot, boot_stopped, s);
    } else {
        boot_stopped(s);
    }
}

static void campaigns_stopped(void *data)
{
    struct srv *s = data;

    camp_images_stop(s->images, images_stopped, s);
}

static void rest_closed(void *data)
{
    struct srv *s = data;

    dev_trust_stop(s->trust);
    camp_engine_stop(s->campaigns, campaigns_stopped, s);
}

/* Begin to stop, once; @p err is why, DR_OK = asked to. */
static void stop_all(struct srv *s, dr_err_t err)
{
    if (s->stopping) {
        return;
    }
    s->stopping = true;
    if (err != DR_OK && s->exit_code == SRV_EXIT_OK) {
        s->exit_code = exit_of(err);
    }
    srv_folder_unready(s->config->data);
    dr_log(DR_LOG_INFO, "server", "stopping");
#ifdef HAVE_SYSTEMD
    (void)sd_notify(0, "STOPPING=1");
#endif
    if (s->rest != NULL) {
        rest_close(s->rest, rest_closed, s);
    } else {
        rest_closed(s);
    }
}

static void on_stop_signal(struct loop_signal *sig, int signum)
{
    struct srv *s = signum == SIGTERM ? DR_CONTAINER_OF(sig, struct srv, on_term)
                                      : DR_CONTAINER_OF(sig, struct srv, on_int);

    s->stop_wanted = true; /* while still starting: when that is done */
    if (s->started) {
        stop_all(s, DR_OK);
    }
}

static void apply_log(const struct srv_config *c)
{
    enum dr_log_level level;

    if (dr_log_level_find(c->log_level, &level) == DR_OK) {
        dr_log_set_level(level);
    }
    dr_log_trace(c->trace);
}

static void on_reload(struct loop_signal *sig, int signum)
{
    struct srv *s = DR_CONTAINER_OF(sig, struct srv, on_hup);
    struct srv_config next;
    struct dr_errinfo info = {0};

    (void)signum;
    dr_err_t err = s->reread(s->data, &next, &info);
    if (err != DR_OK) {
        DR_LOG(DR_LOG_ERROR, "server", "configuration not reloaded", DR_F_STR("key", info.field),
               DR_F_INT("line", info.line), DR_F_STR("why", info.text));
        return;
    }
    unsigned restart = srv_config_reload(s->config, &next);
    apply_log(s->config);
    DR_LOG(DR_LOG_INFO, "server", "configuration reloaded",
           DR_F_UINT("keys_that_need_a_restart", restart));
}

/* ---- all of it ---- */

static dr_err_t prepare(struct srv *s)
{
    dr_err_t err = load_models(s);

    if (err == DR_OK) {
        err = make_loops(s);
    }
    if (err == DR_OK) {
        err = srv_make_trust(s);
    }
    if (err == DR_OK) {
        err = srv_security_new(s, &s->security);
    }
    if (err == DR_OK) {
        err =
            srv_ports_open(s, "coaps", &s->config->coaps, offsetof(struct shard, coaps), s->coaps);
    }
    if (err == DR_OK) {
        err = srv_ports_open(s, "coap", &s->config->coap, offsetof(struct shard, coap), s->coap);
    }
    if (err == DR_OK && srv_boots(s->config)) {
        err = srv_ports_open(s, "bootstrap", &s->config->bootstrap, offsetof(struct shard, boot),
                             s->bootstrap);
    }
    if (err == DR_OK) {
        err = make_devices(s);
    }
    if (err == DR_OK) {
        srv_make_uris(s);
    }
    if (err == DR_OK && srv_boots(s->config)) {
        err = make_boot(s);
    }
    if (err == DR_OK) {
        err = make_est(s);
    }
    if (err == DR_OK) {
        err = make_campaigns(s);
    }
    if (err == DR_OK) {
        err = make_rest(s);
    }
    if (err == DR_OK) {
        err = loop_signal_start(s->control, &s->on_term, SIGTERM, on_stop_signal);
    }
    if (err == DR_OK) {
        err = loop_signal_start(s->control, &s->on_int, SIGINT, on_stop_signal);
    }
    if (err == DR_OK) {
        err = loop_signal_start(s->control, &s->on_hup, SIGHUP, on_reload);
    }
    for (unsigned i = 0; err == DR_OK && i < s->n_shards; i++) {
        err = loop_thread_start(&s->shards[i].thread, s->shards[i].loop, NULL, NULL);
    }
    return err;
}

static void free_shard(struct shard *sh)
{
    loop_thread_join(&sh->thread);
    sh->engine = cx_engine_free(sh->engine);
    sh->boot_engine = cx_engine_free(sh->boot_engine);
    srv_port_close(&sh->coap);
    srv_port_close(&sh->coaps);
    srv_port_close(&sh->boot);
}

/* Completions that the store posted while it closed still find what they belong to. */
static void drain(struct loop *loop)
{
    for (unsigned i = 0; loop != NULL && i < DRAIN_TURNS; i++) {
        loop_run_once(loop, false);
    }
}

static void free_all(struct srv *s)
{
    for (unsigned i = 0; i < s->n_shards; i++) {
        free_shard(&s->shards[i]);
    }
    s->rest = rest_free(s->rest);
    s->db = db_close(s->db);
    drain(s->control);
    for (unsigned i = 0; i < s->n_shards; i++) {
        drain(s->shards[i].loop);
    }
    s->campaigns = camp_engine_free(s->campaigns);
    s->downloads = camp_downloads_free(s->downloads);
    s->images = camp_images_free(s->images);
    s->boot = dev_boot_free(s->boot);
    s->devices = dev_core_free(s->devices);
    if (s->control != NULL) {
        loop_signal_stop(&s->on_term);
        loop_signal_stop(&s->on_int);
        loop_signal_stop(&s->on_hup);
    }
    for (unsigned i = 0; i < s->n_shards; i++) {
        s->shards[i].loop = loop_free(s->shards[i].loop);
    }
    s->control = loop_free(s->control);
    s->security = cx_security_unref(s->security);
    s->boot_security = cx_security_unref(s->boot_security);
    s->renewals = dev_renewals_free(s->renewals);
    s->est = dev_est_free(s->est);
    s->issuer = dev_issuer_free(s->issuer);
    s->trust = dev_trust_free(s->trust);
    srv_keys_close(&s->keys);
    s->models = lwm2m_models_free(s->models);
    if (s->lock_fd >= 0) {
        (void)close(s->lock_fd);
    }
}

static unsigned shard_count(const struct srv_config *c)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = c->shards != 0 ? (unsigned)c->shards : cpus > 0 ? (unsigned)cpus : 1;

    return n > SHARDS_MAX ? SHARDS_MAX : n;
}

int srv_run(struct srv_config *config,
            dr_err_t (*reread)(void *data, struct srv_config *ret, struct dr_errinfo *reterr),
            void *data, struct dr_errinfo *reterr)
{
    dr_assert(config != NULL && reread != NULL && reterr != NULL);
    struct srv *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return SRV_EXIT_FAILED;
    }
    s->config = config;
    s->reread = reread;
    s->data = data;
    s->reterr = reterr;
    s->lock_fd = -1;
    s->n_shards = shard_count(config);
    for (unsigned i = 0; i < s->n_shards; i++) {
        s->shards[i] = (struct shard){
            .srv = s, .index = i, .coap = SRV_NO_PORT, .coaps = SRV_NO_PORT, .boot = SRV_NO_PORT};
    }
    (void)signal(SIGPIPE, SIG_IGN);
    apply_log(config);
    loop_pool_init((uint32_t)config->pool_threads);

    int code = SRV_EXIT_OK;
    dr_err_t err = srv_folder_lock(config->data, &s->lock_fd, reterr);
    if (err == DR_OK) {
        err = open_store(s);
    }
    if (err != DR_OK) {
        code = SRV_EXIT_FOLDER;
    } else {
        err = prepare(s);
        code = exit_of(err);
    }
    if (err == DR_OK) {
        camp_engine_load(s->campaigns, campaigns_loaded, s);
        loop_run(s->control);
        code = s->exit_code;
    }
    free_all(s);
    free(s);
    return code;
}
