/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_backup.c
 * @brief GET /v3/drover/backup: an online copy of the database; ?keys=true: with the key files.
 *
 * The store writes the copy to a file of the data folder, which has lost its name before the first
 * byte is sent: nothing is left behind whatever happens to the connection.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "rest/rest_priv.h"

struct op {
    struct db_backup backup;
    struct rest_req *req;
    char path[4096], keys_dir[4096];
};

static void backup_done(struct db_backup *backup, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(backup, struct op, backup);
    struct rest *rest = rest_of(op->req);
    struct stat st;
    int fd = -1;

    rest->backup_running = false;
    if (err == DR_OK) {
        fd = open(op->path, O_RDONLY | O_CLOEXEC);
        (void)unlink(op->path);
        if (fd < 0 || fstat(fd, &st) != 0) {
            err = DR_ERR_IO;
        }
    }
    if (err != DR_OK) {
        dr_log(DR_LOG_WARNING, "rest", "backup failed: %s", dr_err_str(err));
        if (fd >= 0) {
            (void)close(fd);
        }
        rest_answer_err(op->req, err);
        return;
    }
    rest_answer_file(op->req, fd, (uint64_t)st.st_size, "application/vnd.sqlite3");
}

static void backup_get(struct rest_req *req)
{
    struct rest *rest = rest_of(req);
    struct op *op = rest_arena_alloc(&req->arena, sizeof *op);

    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return;
    }
    if (rest->backup_running || rest->config.data_dir == NULL) {
        rest_answer_error(req, 503, NULL, "a backup is being made");
        return;
    }
    int n = snprintf(op->path, sizeof op->path, "%s/backup-%s.tmp", rest->config.data_dir, req->id);
    if (n < 0 || (size_t)n >= sizeof op->path) {
        rest_answer_err(req, DR_ERR_INTERNAL);
        return;
    }
    op->req = req;
    op->backup = (struct db_backup){.home = rest->loop, .path = op->path, .done = backup_done};
    const char *keys = rest_target_arg(&req->target, "keys");
    if (keys != NULL && strcmp(keys, "true") == 0) {
        (void)snprintf(op->keys_dir, sizeof op->keys_dir, "%s/keys", rest->config.data_dir);
        op->backup.keys_dir = op->keys_dir;
        dr_log(DR_LOG_WARNING, "rest", "a backup with all keys is being made");
    }
    dr_err_t err = db_backup_start(rest->db, &op->backup);
    if (err != DR_OK) {
        rest_answer_err(req, err);
        return;
    }
    rest->backup_running = true;
}

static const struct rest_route routes[] = {
    {REST_GET, REST_WRITE, "/v3/drover/backup", backup_get, 0},
};

const struct rest_routes rest_v3_backup_routes = {routes, DR_ARRAY_LEN(routes)};
