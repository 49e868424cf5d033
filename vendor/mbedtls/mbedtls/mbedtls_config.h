/* SPDX-License-Identifier: MIT */
/*
 * What netkit compiles of mbedTLS 3.6. Every option that is absent is off.
 *
 * Two rules hold everything else together:
 *  - MBEDTLS_USE_PSA_CRYPTO stays off: with it every record imports its key again and copies its
 *    data, which costs four fifths of the record speed. TLS 1.3 itself still needs PSA_CRYPTO_C.
 *  - the record ciphers, SHA-2, X25519 and randomness come from libsodium, P-256 from ring, through
 *    vendor/glue.
 * NK_GLUE_SOFT is defined for the files there that compile upstream's own GCM, ChaCha20-Poly1305
 * and ECDSA as the fallback, NK_STOCK for the benchmark that measures mbedTLS as upstream
 * ships it.
 */
#ifndef NETKIT_MBEDTLS_CONFIG_H
#define NETKIT_MBEDTLS_CONFIG_H

/* platform: allocation goes through hooks; no files, no sockets, no threads (the loop thread owns
 * it) */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY

/* randomness: PSA asks vendor/glue, which asks libsodium; no entropy pool and no DRBG to seed */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
/* each handshake of a TLS 1.3 client holds a key in PSA until the server has answered: without this
 * the 33rd at the same time fails */
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC

/* symmetric ciphers */
#define MBEDTLS_CIPHER_C
#define MBEDTLS_AES_C
#if defined(__x86_64__)
#define MBEDTLS_AESNI_C
#elif defined(__aarch64__)
#define MBEDTLS_AESCE_C
#endif
#define MBEDTLS_CIPHER_MODE_CTR
#define MBEDTLS_GCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C

#if !defined(NK_STOCK)
#if !defined(NK_GLUE_SOFT)
#define MBEDTLS_GCM_ALT
#define MBEDTLS_CHACHAPOLY_ALT
#define MBEDTLS_ECDSA_SIGN_ALT
#define MBEDTLS_ECDSA_VERIFY_ALT
#endif
#define MBEDTLS_SHA256_ALT
#define MBEDTLS_SHA512_ALT
#define MBEDTLS_ECDH_GEN_PUBLIC_ALT
#define MBEDTLS_ECDH_COMPUTE_SHARED_ALT
#endif

/* hashes */
#define MBEDTLS_MD_C
#define MBEDTLS_MD5_C /* old fingerprints of SSH keys only */
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_HKDF_C

/* public keys: ECDSA nonces are derived (RFC 6979), which needs HMAC_DRBG */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0 /* no tables for P-384 and P-521; P-256 is ring's */
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC
#define MBEDTLS_HMAC_DRBG_C
#define MBEDTLS_RSA_C
#define MBEDTLS_GENPRIME /* new RSA keys for SSH */
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21

/* keys and certificates: read and written from memory */
#define MBEDTLS_OID_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_PEM_WRITE_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_PARSE_EC_EXTENDED
#define MBEDTLS_PK_PARSE_EC_COMPRESSED
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_CSR_PARSE_C
#define MBEDTLS_X509_CREATE_C
#define MBEDTLS_X509_CRT_WRITE_C
#define MBEDTLS_X509_CSR_WRITE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT

/* TLS: 1.3, and 1.2 with forward secrecy and AEAD suites only */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_TICKET_C
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_KEYING_MATERIAL_EXPORT
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384 /* RFC 8446 section 5.1 */
#define MBEDTLS_SSL_OUT_CONTENT_LEN 16384

#endif
