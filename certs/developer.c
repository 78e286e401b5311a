/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/developer.h"

#include "base/err.h"

#define BYTES_A_LINE 12

/* Octal escapes of three digits: unlike hex ones they end by themselves; '?' for trigraphs. */
static void put_text(struct dr_dynbuf *out, const char *name, const char *text)
{
    dr_dynbuf_printf(out, "const char %s[] = \"", name);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\' || (*p == '?' && p[1] == '?')) {
            dr_dynbuf_printf(out, "\\%03o", *p);
        } else {
            dr_dynbuf_append_char(out, (char)*p);
        }
    }
    dr_dynbuf_append_str(out, "\";\n");
}

static void put_bytes(struct dr_dynbuf *out, const char *name, struct dr_bytes bytes)
{
    dr_dynbuf_printf(out, "\nconst uint8_t %s[] =\n{", name);
    for (size_t i = 0; i < bytes.len; i++) {
        dr_dynbuf_printf(out, "%s0x%02x",
                         i == 0                  ? "\n    "
                         : i % BYTES_A_LINE == 0 ? ",\n    "
                                                 : ", ",
                         bytes.p[i]);
    }
    dr_dynbuf_printf(out, "\n};\nconst uint32_t %s_SIZE = sizeof(%s);\n", name, name);
}

#define P "MBED_CLOUD_DEV_"

void cert_developer_file(const struct cert_developer *d, struct dr_dynbuf *out)
{
    dr_assert(d != NULL && out != NULL);
    dr_dynbuf_append_str(
        out, "/* Developer credentials of one endpoint, made by Drover. Holds a private key. */\n"
             "#ifndef __MBED_CLOUD_DEV_CREDENTIALS_H__\n"
             "#define __MBED_CLOUD_DEV_CREDENTIALS_H__\n\n"
             "#include <inttypes.h>\n\n");
    put_text(out, P "BOOTSTRAP_ENDPOINT_NAME", d->endpoint);
    put_text(out, P "ACCOUNT_ID", d->account_id);
    put_text(out, P "BOOTSTRAP_SERVER_URI", d->uri);
    put_bytes(out, P "BOOTSTRAP_DEVICE_CERTIFICATE", d->device_der);
    put_bytes(out, P "BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE", d->bootstrap_root_der);
    put_bytes(out, P "LWM2M_SERVER_ROOT_CA_CERTIFICATE", d->server_root_der);
    put_bytes(out, P "BOOTSTRAP_DEVICE_PRIVATE_KEY", d->key_pkcs8);
    dr_dynbuf_append_char(out, '\n');
    put_text(out, P "MANUFACTURER", "dev_manufacturer");
    put_text(out, P "MODEL_NUMBER", "dev_model_num");
    put_text(out, P "SERIAL_NUMBER", "0");
    put_text(out, P "DEVICE_TYPE", "dev_device_type");
    put_text(out, P "HARDWARE_VERSION", "dev_hardware_version");
    dr_dynbuf_append_str(out, "const uint32_t " P "MEMORY_TOTAL_KB = 0;\n\n"
                              "#endif /* __MBED_CLOUD_DEV_CREDENTIALS_H__ */\n");
}
