/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file in a folder that only this user can look into. */
static bool put_file(const char *path, struct dr_bytes data)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, data.p, data.len) == (ssize_t)data.len;

    return fd >= 0 && close(fd) == 0 && good;
}

static int run(const struct mt_signing_tool *t, const char *in, const char *out)
{
    int status = 0;

    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execlp(t->tool, t->tool, "sha256", t->key_id, in, out, (char *)NULL);
        fprintf(stderr, "drover: cannot start '%s': %s\n", t->tool, strerror(errno));
        _exit(127);
    }
    if (pid < 0) {
        return cli_fail(CLI_FAILED, "cannot start '%s': %s", t->tool, strerror(errno));
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return cli_fail(CLI_FAILED, "lost '%s'", t->tool);
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? CLI_OK
               : cli_fail(CLI_FAILED, "'%s' failed", t->tool);
}

static dr_err_t read_signature(const struct mt_signing_tool *t, const char *path,
                               struct dr_bytes tbs, uint8_t ret[MANIFEST_SIG_LEN])
{
    uint8_t sig[MANIFEST_SIG_LEN];
    size_t len = 0;

    char *der = cli_read_file(path, MANIFEST_SIG_DER_MAX, &len);
    if (der == NULL) {
        return DR_ERR_CRYPTO;
    }
    dr_err_t err = manifest_sig_from_der(dr_bytes_of(der, len), sig);
    free(der);
    if (err != DR_OK) {
        (void)cli_fail(CLI_FAILED, "'%s' wrote no ECDSA signature in DER", t->tool);
        return DR_ERR_CRYPTO;
    }
    if (!manifest_key_verify(t->public_key, tbs, sig)) {
        (void)cli_fail(CLI_FAILED, "the signature of '%s' does not verify with the certificate",
                       t->tool);
        return DR_ERR_CRYPTO;
    }
    memcpy(ret, sig, sizeof sig);
    return DR_OK;
}

dr_err_t mt_sign_with_tool(void *data, struct dr_bytes tbs, uint8_t ret[MANIFEST_SIG_LEN])
{
    const struct mt_signing_tool *t = data;
    const char *base = getenv("TMPDIR");
    char folder[MT_PATH_MAX], in[MT_PATH_MAX + 8], out[MT_PATH_MAX + 8];

    int n = snprintf(folder, sizeof folder, "%s/drover-sign.XXXXXX", base != NULL ? base : "/tmp");
    if (n < 0 || (size_t)n >= sizeof folder || mkdtemp(folder) == NULL) {
        (void)cli_fail(CLI_FAILED, "cannot make a temporary folder: %s", strerror(errno));
        return DR_ERR_IO;
    }
    (void)snprintf(in, sizeof in, "%s/in", folder);
    (void)snprintf(out, sizeof out, "%s/out", folder);
    dr_err_t err = DR_ERR_IO;
    if (!put_file(in, tbs)) {
        (void)cli_fail(CLI_FAILED, "cannot write '%s'", in);
    } else if (run(t, in, out) == CLI_OK) {
        err = read_signature(t, out, tbs, ret);
    }
    (void)unlink(in);
    (void)unlink(out);
    (void)rmdir(folder);
    return err;
}
