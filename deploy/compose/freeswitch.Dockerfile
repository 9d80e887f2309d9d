# The switch of docker-compose.yml. Its configuration is not in here but in freeswitch/, which compose
# mounts. FREESWITCH_IMAGE may also be an image that brings a FreeSWITCH along; it is used as it is.
ARG FREESWITCH_IMAGE=alpine:3.24
FROM ${FREESWITCH_IMAGE}
USER root
# Alpine packages FreeSWITCH for everybody, without a token. Which modules are in the package is
# Alpine's choice, so the ones that not every build has are looked for now, not at the first call.
RUN command -v freeswitch >/dev/null || { \
        apk add --no-cache freeswitch \
        && for module in xml_curl json_cdr callcenter; do \
            [ -e "/usr/lib/freeswitch/mod/mod_$module.so" ] \
            || { echo "this freeswitch has no mod_$module: set FREESWITCH_IMAGE to another one" >&2; exit 1; }; \
        done; }
# A number of our own: it owns the volume, whatever user the base image has for FreeSWITCH.
RUN mkdir -p /var/lib/voice-switch && chown 10002:10002 /var/lib/voice-switch \
 && chmod 700 /var/lib/voice-switch
ENV FREESWITCH_STATE_DIR=/var/lib/voice-switch
USER 10002:10002
ENTRYPOINT []
CMD ["/etc/voice-switch/start"]
