/* watch_vectors.h - certificates that python3-cryptography made, for tests of watchlists;
 * those with odd serials openssl.  What is expected of them is what
 *     openssl x509 -noout -serial -dates -issuer -nameopt RFC2253,-esc_msb,utf8 -ext ...
 * says.  CAs: A ("CN=Watch CA A,O=Müller\, Söhne \+ Co,C=DE"), A2 of the same name with
 * another key, B, and N, whose certificate has no subjectKeyIdentifier; the private keys
 * are of nobody else.  All are of
 * 2026-01-02T03:04:05Z to 2026-12-31T23:59:59Z.
 */
#ifndef TESTS_LIB_WATCH_VECTORS_H
#define TESTS_LIB_WATCH_VECTORS_H

#define PEM_CA_A                                                                         \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBozCCAUmgAwIBAgIBATAKBggqhkjOPQQDAjBBMQswCQYDVQQGEwJERTEdMBsG\n"             \
	"A1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENBIEEw\n"             \
	"HhcNMjYwMTAyMDMwNDA1WhcNMjYxMjMxMjM1OTU5WjBBMQswCQYDVQQGEwJERTEd\n"             \
	"MBsGA1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENB\n"             \
	"IEEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQqainmxdSpT0mZr4nKTnahz8WE\n"             \
	"d/TpJ6AE2RbmrKAkQA+k+7HJwStFPuuI1m7c9byG/7cUETG8trjLKKAseO3cozIw\n"             \
	"MDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQLmZMsbOdyZCs9ByQ0R5kdFZje\n"             \
	"0zAKBggqhkjOPQQDAgNIADBFAiEAnJuG97nkEw64bBC60i6IBdJ/snTAlgstYE1v\n"             \
	"MIFRRhECIB1WiGwDlhc9/PdrZxqAWkezC2MGGsV8ZnnuL0IHNbpC\n"                         \
	"-----END CERTIFICATE-----\n"

#define PEM_CA_A2                                                                        \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBozCCAUmgAwIBAgIBAjAKBggqhkjOPQQDAjBBMQswCQYDVQQGEwJERTEdMBsG\n"             \
	"A1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENBIEEw\n"             \
	"HhcNMjYwMTAyMDMwNDA1WhcNMjYxMjMxMjM1OTU5WjBBMQswCQYDVQQGEwJERTEd\n"             \
	"MBsGA1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENB\n"             \
	"IEEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATZfWYH3ZQ4T7OgEzErG2DpoQoO\n"             \
	"P7DTdwxxiwVENLNWsN2hDcxW+01eRWuIsdvWqWZLCxSShIaHI6DpIkbSR2zCozIw\n"             \
	"MDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBT4cl2AT5o+tefN9Dz7Q9Rp/dXk\n"             \
	"fjAKBggqhkjOPQQDAgNIADBFAiEAnSiQPMD9TbyytkehVD031/XWLgY4V9vaIHIn\n"             \
	"RPogttECIETOwb4Zhg2Q3QJMEbyQW51/ZV5InHMTNXjZWHyO+SDO\n"                         \
	"-----END CERTIFICATE-----\n"

#define PEM_CA_B                                                                         \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBSjCB8aADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCldhdGNoIENB\n"             \
	"IEIwHhcNMjYwMTAyMDMwNDA1WhcNMjYxMjMxMjM1OTU5WjAVMRMwEQYDVQQDDApX\n"             \
	"YXRjaCBDQSBCMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDn30vzW8IOp8Sz1E\n"             \
	"7YSYx48iCO0LDzQFQ1hP+cTX5B/LM5FE0OC/YQjUH7eKUrqvLeLijphYQRDP/LyW\n"             \
	"Dcg2E6MyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUu1RgZ7fsTJ82eFzD\n"             \
	"EabNJ8HPtu8wCgYIKoZIzj0EAwIDSAAwRQIgPxzCDMLS/Z0gjdUbulEfMgdK1kmI\n"             \
	"1IJUr50zYVM3a8ACIQDOMu46U6YE5B4OSyPy7+5VKbCtCshuYwZcR8Tz9hQBnw==\n"             \
	"-----END CERTIFICATE-----\n"

#define PEM_CA_N                                                                         \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBLDCB0qADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCldhdGNoIENB\n"             \
	"IE4wHhcNMjYwMTAyMDMwNDA1WhcNMjYxMjMxMjM1OTU5WjAVMRMwEQYDVQQDDApX\n"             \
	"YXRjaCBDQSBOMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzzrUpEjk5Tsr1P9M\n"             \
	"lSHBB0Mcygr/UR0RWYUoILeX+gcn+5tXKAsjSjbvgK2cM2G+YoUKroA6rx9FuQj1\n"             \
	"bbTJaqMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAtcXF\n"             \
	"kjsxvg+mTZUlV5s28QXMxsj315pfp+/vsZ9NktQCIQDJ/WTcn2p2c/ViP1DFcy3K\n"             \
	"qNZfonX9s38qSubRh5AMqg==\n"                                                     \
	"-----END CERTIFICATE-----\n"

#define PEM_FULL                                                                         \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIDfTCCAyOgAwIBAgIUePFp4lrTS8Q8tS2mHpcPgFVd5m4wCgYIKoZIzj0EAwIw\n"             \
	"QTELMAkGA1UEBhMCREUxHTAbBgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMw\n"             \
	"EQYDVQQDDApXYXRjaCBDQSBBMB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1\n"             \
	"OVowGjEYMBYGA1UEAwwPaWdub3JlZC5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZI\n"             \
	"zj0DAQcDQgAEdv3dECc0DcV/LpqsU5I1OlozFobIopGEWXNX7931owIlmrF3YYtV\n"             \
	"WhJkFlWQ+XqIBuqqp7wI+cGCbwb4cHDQFKOCAh4wggIaMIH0BgNVHREEgewwgemC\n"             \
	"EFdXVy5TaG9wLkV4YW1wbGWCDiouc2hvcC5leGFtcGxlghV4bi0tYmNoZXIta3Zh\n"             \
	"LmV4YW1wbGWHBMAAAgeHECABDbgAAAAAAAAAAAAAAAWBE0pvLkRvZUBNYWlsLkV4\n"             \
	"YW1wbGWGH0hUVFBTOi8vQXBwLkV4YW1wbGU6ODQ0My9QYXRoP1GgHwYKKwYBBAGC\n"             \
	"NxQCA6ARDA9qb0Bjb3JwLmV4YW1wbGWgIgYIKwYBBQUHCAmgFgwUasO8cmdlbkBw\n"             \
	"b3N0LmV4YW1wbGWkFzAVMRMwEQYDVQQDDApXYXRjaCBDQSBCiAIqAzCB8QYDVR0f\n"             \
	"BIHpMIHmMDegNaAzhhdsZGFwOi8vZGlyLmV4YW1wbGUvY249YYYYaHR0cDovL2Ny\n"             \
	"bC5leGFtcGxlL2EuY3JsMB+gHaAbhhlodHRwczovL2NybC5leGFtcGxlL2IuY3Js\n"             \
	"MCigIqAghh5odHRwOi8vY3JsLmV4YW1wbGUvcmVhc29ucy5jcmyBAgZAMECgI6Ah\n"             \
	"hh9odHRwOi8vY3JsLmV4YW1wbGUvaW5kaXJlY3QuY3JsohmkFzAVMRMwEQYDVQQD\n"             \
	"DApXYXRjaCBDQSBCMB6gHKAahhhodHRwOi8vY3JsLmV4YW1wbGUvYy5jcmwwHwYD\n"             \
	"VR0jBBgwFoAUC5mTLGzncmQrPQckNEeZHRWY3tMwDAYDVR0TAQH/BAIwADAKBggq\n"             \
	"hkjOPQQDAgNIADBFAiEA5M0xrgm041PEKEULaki2i/+D8MuwOlOki90unKVU2KAC\n"             \
	"ICUjww50De6ts43V/YVYRAdPMJw6HKFAwUHHopcX9IW5\n"                                 \
	"-----END CERTIFICATE-----\n"

#define PEM_CN                                                                           \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBhDCCASqgAwIBAgICAIAwCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowQzETMBEGA1UEAwwKT3Ro\n"             \
	"ZXIgTmFtZTEKMAgGA1UECgwBeDEgMB4GA1UEAwwXQsOcQ0hFUi5Cw7xjaGVyLkV4\n"             \
	"YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR2/d0QJzQNxX8umqxTkjU6\n"             \
	"WjMWhsiikYRZc1fv3fWjAiWasXdhi1VaEmQWVZD5eogG6qqnvAj5wYJvBvhwcNAU\n"             \
	"oxAwDjAMBgNVHRMBAf8EAjAAMAoGCCqGSM49BAMCA0gAMEUCIGJgQJRBYzOf9lN2\n"             \
	"dhuRSvl0KrO0rqJEDhsdRYabA38yAiEAx90gev1rQuaQ9Vw+ASE2U13Bou+mMXy2\n"             \
	"3+posBnOai4=\n"                                                                 \
	"-----END CERTIFICATE-----\n"

#define PEM_NO_AKI_A2                                                                    \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBQzCB66ADAgECAgIQAjAKBggqhkjOPQQDAjBBMQswCQYDVQQGEwJERTEdMBsG\n"             \
	"A1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENBIEEw\n"             \
	"HhcNMjYwMTAyMDMwNDA1WhcNMjYxMjMxMjM1OTU5WjAWMRQwEgYDVQQDDAtvbGQu\n"             \
	"ZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHb93RAnNA3Ffy6arFOS\n"             \
	"NTpaMxaGyKKRhFlzV+/d9aMCJZqxd2GLVVoSZBZVkPl6iAbqqqe8CPnBgm8G+HBw\n"             \
	"0BQwCgYIKoZIzj0EAwIDRwAwRAIgXOBDYFFp8Nynrt/o88fNNug6jNte1duK48fI\n"             \
	"X3jDWyYCIHoJd34BvT5Yzw00zBQK26ZJTZaQpz34mWdCwaBtv4xa\n"                         \
	"-----END CERTIFICATE-----\n"

#define PEM_OF_B                                                                         \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBOjCB4qADAgECAgIQAzAKBggqhkjOPQQDAjAVMRMwEQYDVQQDDApXYXRjaCBD\n"             \
	"QSBCMB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowFDESMBAGA1UEAwwJ\n"             \
	"Yi5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdv3dECc0DcV/Lpqs\n"             \
	"U5I1OlozFobIopGEWXNX7931owIlmrF3YYtVWhJkFlWQ+XqIBuqqp7wI+cGCbwb4\n"             \
	"cHDQFKMjMCEwHwYDVR0jBBgwFoAUu1RgZ7fsTJ82eFzDEabNJ8HPtu8wCgYIKoZI\n"             \
	"zj0EAwIDRwAwRAIgb7XvupySx7Sb4syk8j0Fb0YwiZqMdKJ0kv1/c/AARQ4CIGkn\n"             \
	"zeYkXOSXfQzInZKBYK2LKOydxpKeoYvM6TTCr13d\n"                                     \
	"-----END CERTIFICATE-----\n"

#define PEM_NO_AKI_B                                                                     \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBGjCBwaADAgECAgIQBDAKBggqhkjOPQQDAjAVMRMwEQYDVQQDDApXYXRjaCBD\n"             \
	"QSBCMB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowGDEWMBQGA1UEAwwN\n"             \
	"Y2hhaW4uZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHb93RAnNA3F\n"             \
	"fy6arFOSNTpaMxaGyKKRhFlzV+/d9aMCJZqxd2GLVVoSZBZVkPl6iAbqqqe8CPnB\n"             \
	"gm8G+HBw0BQwCgYIKoZIzj0EAwIDSAAwRQIgMx+6teTnKD0jRGCCMoZzO2jMp1fw\n"             \
	"507Q4v2Rln84duICIQDOQe6UYXthlZi5zXv3+ps1qH62ezqO0kk2Rtp3nDecGg==\n"             \
	"-----END CERTIFICATE-----\n"

#define PEM_FORGED                                                                       \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBbTCCAROgAwIBAgICEAUwCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowGTEXMBUGA1UEAwwOZm9y\n"             \
	"Z2VkLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR2/d0QJzQNxX8u\n"             \
	"mqxTkjU6WjMWhsiikYRZc1fv3fWjAiWasXdhi1VaEmQWVZD5eogG6qqnvAj5wYJv\n"             \
	"BvhwcNAUoyMwITAfBgNVHSMEGDAWgBQLmZMsbOdyZCs9ByQ0R5kdFZje0zAKBggq\n"             \
	"hkjOPQQDAgNIADBFAiEAh0b/38Ri9jevl36y4BL0U6rmrHsShaupZuuAn6BepKcC\n"             \
	"ID3DdGIS0hzfb8CLKiwo8Bq13TkWpIj/wDmTqtJB8gv5\n"                                 \
	"-----END CERTIFICATE-----\n"

#define PEM_STRANGER                                                                     \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBSTCB8KADAgECAgIQBjAKBggqhkjOPQQDAjBBMQswCQYDVQQGEwJERTEdMBsG\n"             \
	"A1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENBIEEw\n"             \
	"HhcNMjYwMTAyMDMwNDA1WhcNMjYxMjMxMjM1OTU5WjAbMRkwFwYDVQQDDBBzdHJh\n"             \
	"bmdlci5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdv3dECc0DcV/\n"             \
	"LpqsU5I1OlozFobIopGEWXNX7931owIlmrF3YYtVWhJkFlWQ+XqIBuqqp7wI+cGC\n"             \
	"bwb4cHDQFDAKBggqhkjOPQQDAgNIADBFAiAhOfaX0BhC9YQCgpWPWHheKEGWq6dO\n"             \
	"Lgat6oQjIb6evgIhAKFW0PSaNeqbU5UhuJQo43cydmlnzzMisW3acHI17ZEV\n"                 \
	"-----END CERTIFICATE-----\n"

#define PEM_REKEYED                                                                      \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBbzCCARSgAwIBAgICEAcwCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowGjEYMBYGA1UEAwwPcmVr\n"             \
	"ZXllZC5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdv3dECc0DcV/\n"             \
	"LpqsU5I1OlozFobIopGEWXNX7931owIlmrF3YYtVWhJkFlWQ+XqIBuqqp7wI+cGC\n"             \
	"bwb4cHDQFKMjMCEwHwYDVR0jBBgwFoAUK8x3tgq2yUnZP5ikaKIcLlMAi5kwCgYI\n"             \
	"KoZIzj0EAwIDSQAwRgIhALkUFIy3ydlrGQ21hFsEQtBtoPiRy04RkoQpBa9aI4yc\n"             \
	"AiEAzKulzqox/co98IPnpOrLs6fRn1PnoJdjkLvia/tOJ3s=\n"                             \
	"-----END CERTIFICATE-----\n"

#define PEM_WRONG_AKI                                                                    \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBbTCCARKgAwIBAgICEAgwCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowGDEWMBQGA1UEAwwNd3Jv\n"             \
	"bmcuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHb93RAnNA3Ffy6a\n"             \
	"rFOSNTpaMxaGyKKRhFlzV+/d9aMCJZqxd2GLVVoSZBZVkPl6iAbqqqe8CPnBgm8G\n"             \
	"+HBw0BSjIzAhMB8GA1UdIwQYMBaAFCvMd7YKtslJ2T+YpGiiHC5TAIuZMAoGCCqG\n"             \
	"SM49BAMCA0kAMEYCIQDxLeHGVtBDWIeCptCPGVQz0i4B0ikh9MbpgAs1DPeXqAIh\n"             \
	"AP/p1EQ8Ehh4UeUXwc4c3byjLnljSnjP7j+aYb73Y18U\n"                                 \
	"-----END CERTIFICATE-----\n"

#define PEM_OF_N                                                                         \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBOzCB4qADAgECAgIQCTAKBggqhkjOPQQDAjAVMRMwEQYDVQQDDApXYXRjaCBD\n"             \
	"QSBOMB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowFDESMBAGA1UEAwwJ\n"             \
	"bi5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdv3dECc0DcV/Lpqs\n"             \
	"U5I1OlozFobIopGEWXNX7931owIlmrF3YYtVWhJkFlWQ+XqIBuqqp7wI+cGCbwb4\n"             \
	"cHDQFKMjMCEwHwYDVR0jBBgwFoAUu1iQ7ZWV7iSVupywqZ2CX6L0j3cwCgYIKoZI\n"             \
	"zj0EAwIDSAAwRQIgIPoRl+AswZ57VHE878lXTsTNH7YnXBzUE1S2tEpEy3ACIQCj\n"             \
	"ZSX5hdOWA4vMjlJu8MpvbUa76mN2fVsJoHXF3XTVKA==\n"                                 \
	"-----END CERTIFICATE-----\n"

#define PEM_SHA1                                                                         \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBajCCARCgAwIBAgICEAowCQYHKoZIzj0EATBBMQswCQYDVQQGEwJERTEdMBsG\n"             \
	"A1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENBIEEw\n"             \
	"HhcNMjYwMTAyMDMwNDA1WhcNMjYxMjMxMjM1OTU5WjAXMRUwEwYDVQQDDAxzaGEx\n"             \
	"LmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR2/d0QJzQNxX8umqxT\n"             \
	"kjU6WjMWhsiikYRZc1fv3fWjAiWasXdhi1VaEmQWVZD5eogG6qqnvAj5wYJvBvhw\n"             \
	"cNAUoyMwITAfBgNVHSMEGDAWgBQLmZMsbOdyZCs9ByQ0R5kdFZje0zAJBgcqhkjO\n"             \
	"PQQBA0kAMEYCIQCFAybRlUMaOdFc4jCixbDTAsv9RI0RjVMm7CfIM76qrAIhAMMz\n"             \
	"uIHDl4BcalRnjnDx2lA0o3M4TP//0DQ99gWkN/FI\n"                                     \
	"-----END CERTIFICATE-----\n"

#define PEM_ODD                                                                          \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBqTCCAU+gAwIBAgICEAswCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowEzERMA8GA1UEAwwIbm90\n"             \
	"LnRoaXMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR2/d0QJzQNxX8umqxTkjU6\n"             \
	"WjMWhsiikYRZc1fv3fWjAiWasXdhi1VaEmQWVZD5eogG6qqnvAj5wYJvBvhwcNAU\n"             \
	"o2UwYzBABgNVHREEOTA3ggxudWwALmV4YW1wbGWCDGL8cm8uZXhhbXBsZYEEYf9A\n"             \
	"eIcDAQIDggCCDHTDvHIuZXhhbXBsZTAfBgNVHSMEGDAWgBQLmZMsbOdyZCs9ByQ0\n"             \
	"R5kdFZje0zAKBggqhkjOPQQDAgNIADBFAiEA68Y6rxUlOdgLOVuaoRdlnt75maT2\n"             \
	"xBssfqSv9BQYgGwCIAea2SH1BlmgAmZEmjfAfbcCUIsRik/BXUUwFOSYuirp\n"                 \
	"-----END CERTIFICATE-----\n"

#define PEM_BROKEN_SAN                                                                   \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBqjCCAVCgAwIBAgICEAwwCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MCAXDTUwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAXMRUwEwYDVQQDDAxr\n"             \
	"ZXB0LmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR2/d0QJzQNxX8u\n"             \
	"mqxTkjU6WjMWhsiikYRZc1fv3fWjAiWasXdhi1VaEmQWVZD5eogG6qqnvAj5wYJv\n"             \
	"BvhwcNAUo2AwXjAOBgNVHREEBzAFgglhYmMwTAYDVR0jBEUwQ4BBa2tra2tra2tr\n"             \
	"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr\n"             \
	"a2tra2tra2swCgYIKoZIzj0EAwIDSAAwRQIgIVcwMyZSrRIbL9/fL8YUgCNKXxwG\n"             \
	"2eMDDS1pVU6GhhkCIQDyMPj4rGRleVCG0UR9Ti12bB3jCScPiNeyOrsBLA5MDA==\n"             \
	"-----END CERTIFICATE-----\n"

#define PEM_CA_LEAF                                                                      \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBeTCCAR+gAwIBAgICEA0wCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowETEPMA0GA1UEAwwGU3Vi\n"             \
	"IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdv3dECc0DcV/LpqsU5I1Oloz\n"             \
	"FobIopGEWXNX7931owIlmrF3YYtVWhJkFlWQ+XqIBuqqp7wI+cGCbwb4cHDQFKM3\n"             \
	"MDUwEgYDVR0TAQH/BAgwBgEB/wIBADAfBgNVHSMEGDAWgBQLmZMsbOdyZCs9ByQ0\n"             \
	"R5kdFZje0zAKBggqhkjOPQQDAgNIADBFAiEA0TVhtH0se9zRoolvSQ6VDwEPZ/K2\n"             \
	"FGYLZV8I/JJhJPACIE3MxdDP10uueJTreRbRw1zRpDSeox5n9ryz4X64sIcD\n"                 \
	"-----END CERTIFICATE-----\n"

#define PEM_LONG_SERIAL                                                                  \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBojCCAUegAwIBAgIXESIzRFVmd4iZABEiM0RVZneImQARIjMwCgYIKoZIzj0E\n"             \
	"AwIwQTELMAkGA1UEBhMCREUxHTAbBgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENv\n"             \
	"MRMwEQYDVQQDDApXYXRjaCBDQSBBMB4XDTI2MTEzMDE1MTIwM1oXDTI2MTIzMDE1\n"             \
	"MTIwM1owGTEXMBUGA1UEAwwOc2VyaWFsLmV4YW1wbGUwWTATBgcqhkjOPQIBBggq\n"             \
	"hkjOPQMBBwNCAATzqaecj90uhKd6PxHdGDNlI46qf8tPGgJx9v2w7FCJv3bckc5j\n"             \
	"5D05oqZsk2hCkRtwt7q5o9TfmjEGz2/WRmwpo0IwQDAfBgNVHSMEGDAWgBQLmZMs\n"             \
	"bOdyZCs9ByQ0R5kdFZje0zAdBgNVHQ4EFgQUs0vvn9/P/50IxhaUWHBmDkTRKJww\n"             \
	"CgYIKoZIzj0EAwIDSQAwRgIhAI4NU3rb6EVpCQ6h5Ljc4N7suTW7XMnknkSPzRgq\n"             \
	"XnrNAiEAz08YoQJkeHtN2itJI2bNeA21RN5kd9tl0kzc3jJlEuI=\n"                         \
	"-----END CERTIFICATE-----\n"

#define PEM_NEGATIVE_SERIAL                                                              \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBjDCCATKgAwIBAgIC7/swCgYIKoZIzj0EAwIwQTELMAkGA1UEBhMCREUxHTAb\n"             \
	"BgNVBAoMFE3DvGxsZXIsIFPDtmhuZSArIENvMRMwEQYDVQQDDApXYXRjaCBDQSBB\n"             \
	"MB4XDTI2MTEzMDE1MTIwM1oXDTI2MTIzMDE1MTIwM1owGTEXMBUGA1UEAwwOc2Vy\n"             \
	"aWFsLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATzqaecj90uhKd6\n"             \
	"PxHdGDNlI46qf8tPGgJx9v2w7FCJv3bckc5j5D05oqZsk2hCkRtwt7q5o9TfmjEG\n"             \
	"z2/WRmwpo0IwQDAfBgNVHSMEGDAWgBQLmZMsbOdyZCs9ByQ0R5kdFZje0zAdBgNV\n"             \
	"HQ4EFgQUs0vvn9/P/50IxhaUWHBmDkTRKJwwCgYIKoZIzj0EAwIDSAAwRQIgCByE\n"             \
	"W55vq7fQ+oOBmqAOuq9fKKAy/0qRiwGDjlcBqTECIQCDVH9URDLwMRNBJTVF3xXE\n"             \
	"pzsUHaH+3FbHcrmGyveshw==\n"                                                     \
	"-----END CERTIFICATE-----\n"

#define PEM_ZERO_SERIAL                                                                  \
	"-----BEGIN CERTIFICATE-----\n"                                                  \
	"MIIBijCCATGgAwIBAgIBADAKBggqhkjOPQQDAjBBMQswCQYDVQQGEwJERTEdMBsG\n"             \
	"A1UECgwUTcO8bGxlciwgU8O2aG5lICsgQ28xEzARBgNVBAMMCldhdGNoIENBIEEw\n"             \
	"HhcNMjYxMTMwMTUxMjAzWhcNMjYxMjMwMTUxMjAzWjAZMRcwFQYDVQQDDA5zZXJp\n"             \
	"YWwuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPOpp5yP3S6Ep3o/\n"             \
	"Ed0YM2Ujjqp/y08aAnH2/bDsUIm/dtyRzmPkPTmipmyTaEKRG3C3urmj1N+aMQbP\n"             \
	"b9ZGbCmjQjBAMB8GA1UdIwQYMBaAFAuZkyxs53JkKz0HJDRHmR0VmN7TMB0GA1Ud\n"             \
	"DgQWBBSzS++f38//nQjGFpRYcGYORNEonDAKBggqhkjOPQQDAgNHADBEAiBUKz4p\n"             \
	"oimQy+1grAKnDJBHGXmJC+ZrzqoyZypMHYGq9QIgJwYYr5Tb6agJfkTIukq2AYSH\n"             \
	"NfajQUCMIXYKAiAh6NY=\n"                                                         \
	"-----END CERTIFICATE-----\n"

#define PEM_TRUSTED                                                                      \
	"-----BEGIN TRUSTED CERTIFICATE-----\n"                                          \
	"MIIBOjCB4qADAgECAgIQAzAKBggqhkjOPQQDAjAVMRMwEQYDVQQDDApXYXRjaCBD\n"             \
	"QSBCMB4XDTI2MDEwMjAzMDQwNVoXDTI2MTIzMTIzNTk1OVowFDESMBAGA1UEAwwJ\n"             \
	"Yi5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdv3dECc0DcV/Lpqs\n"             \
	"U5I1OlozFobIopGEWXNX7931owIlmrF3YYtVWhJkFlWQ+XqIBuqqp7wI+cGCbwb4\n"             \
	"cHDQFKMjMCEwHwYDVR0jBBgwFoAUu1RgZ7fsTJ82eFzDEabNJ8HPtu8wCgYIKoZI\n"             \
	"zj0EAwIDRwAwRAIgb7XvupySx7Sb4syk8j0Fb0YwiZqMdKJ0kv1/c/AARQ4CIGkn\n"             \
	"zeYkXOSXfQzInZKBYK2LKOydxpKeoYvM6TTCr13dMAwwCgYIKwYBBQUHAwE=\n"                 \
	"-----END TRUSTED CERTIFICATE-----\n"

#define PEM_KEY                                                                          \
	"-----BEGIN PRIVATE KEY-----\n"                                                  \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFireAcb+t9UU9JVe\n"             \
	"MBPZyaoyZ8GzWkhuGAEERVcyrhmhRANCAAR2/d0QJzQNxX8umqxTkjU6WjMWhsii\n"             \
	"kYRZc1fv3fWjAiWasXdhi1VaEmQWVZD5eogG6qqnvAj5wYJvBvhwcNAU\n"                     \
	"-----END PRIVATE KEY-----\n"

#define PEM_EC_KEY                                                                       \
	"-----BEGIN EC PRIVATE KEY-----\n"                                               \
	"MHcCAQEEIBYq3gHG/rfVFPSVXjAT2cmqMmfBs1pIbhgBBEVXMq4ZoAoGCCqGSM49\n"             \
	"AwEHoUQDQgAEdv3dECc0DcV/LpqsU5I1OlozFobIopGEWXNX7931owIlmrF3YYtV\n"             \
	"WhJkFlWQ+XqIBuqqp7wI+cGCbwb4cHDQFA==\n"                                         \
	"-----END EC PRIVATE KEY-----\n"

#endif
