package example;

import jakarta.servlet.http.HttpServletResponse;
import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.ObjectPostProcessor;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationConverter;
import org.springframework.security.oauth2.server.resource.authentication.JwtGrantedAuthoritiesConverter;
import org.springframework.security.oauth2.server.resource.web.BearerTokenAuthenticationEntryPoint;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.cors.CorsConfiguration;
import org.springframework.web.cors.CorsConfigurationSource;
import org.springframework.web.cors.UrlBasedCorsConfigurationSource;

/**
 * A protected API with Spring Boot.
 *
 * <p>ISSUER=http://127.0.0.1:9000 AUDIENCE=ratchet ORIGIN=http://localhost:5173 PORT=8080 mvn spring-boot:run
 */
@SpringBootApplication
@RestController
public class Application {

  public static void main(String[] arguments) {
    var application = new SpringApplication(Application.class);
    application.setDefaultProperties(Map.of("server.address", "127.0.0.1", "server.port", "${PORT}"));
    application.run(arguments);
  }

  @GetMapping("/whoami")
  Map<String, Object> whoami(@AuthenticationPrincipal Jwt token) {
    List<String> roles = token.hasClaim("roles") ? token.getClaimAsStringList("roles") : List.of();
    return Map.of("sub", token.getSubject(), "sid", token.getClaimAsString("sid"), "roles", roles);
  }

  @GetMapping("/admin")
  Map<String, Object> admin(@AuthenticationPrincipal Jwt token) {
    return Map.of("welcome", token.getClaimAsString("name"));
  }

  /** Needs a second factor or a passkey, within the last five minutes (RFC 9470). */
  @GetMapping("/export")
  ResponseEntity<Map<String, Object>> export(@AuthenticationPrincipal Jwt token) {
    if (!isRecent(token, Duration.ofMinutes(5), List.of("otp", "hwk"))) {
      var challenge = "Bearer error=\"insufficient_user_authentication\", max_age=\"300\", amr_values=\"otp hwk\"";
      return ResponseEntity.status(HttpStatus.UNAUTHORIZED).header(HttpHeaders.WWW_AUTHENTICATE, challenge).build();
    }
    return ResponseEntity.ok(Map.of("of", token.getSubject()));
  }

  /** Whether the user was authenticated by one of these methods, and not longer ago. */
  private static boolean isRecent(Jwt token, Duration maxAge, List<String> methods) {
    var at = token.getClaimAsInstant("auth_time");
    var amr = token.hasClaim("amr") ? token.getClaimAsStringList("amr") : List.<String>of();
    return !at.isBefore(Instant.now().minus(maxAge)) && !Collections.disjoint(amr, methods);
  }

  @Bean
  SecurityFilterChain security(HttpSecurity http) throws Exception {
    var roles = new JwtGrantedAuthoritiesConverter();
    roles.setAuthoritiesClaimName("roles");
    roles.setAuthorityPrefix("ROLE_");
    var users = new JwtAuthenticationConverter();
    users.setJwtGrantedAuthoritiesConverter(roles);
    return http.cors(Customizer.withDefaults())
        .authorizeHttpRequests(
            requests -> requests.requestMatchers("/admin").hasRole("admin").anyRequest().authenticated())
        .oauth2ResourceServer(
            server ->
                server
                    .jwt(jwt -> jwt.jwtAuthenticationConverter(users))
                    .withObjectPostProcessor(unavailable()))
        .build();
  }

  /** Without the keys there is no verdict: a 401 would sign the user out. */
  private static ObjectPostProcessor<BearerTokenAuthenticationFilter> unavailable() {
    var refuse = new BearerTokenAuthenticationEntryPoint();
    return new ObjectPostProcessor<>() {
      @Override
      public <F extends BearerTokenAuthenticationFilter> F postProcess(F filter) {
        filter.setAuthenticationFailureHandler(
            (request, response, exception) -> {
              if (exception instanceof AuthenticationServiceException) {
                response.setHeader("Retry-After", "1");
                response.setStatus(HttpServletResponse.SC_SERVICE_UNAVAILABLE);
              } else {
                refuse.commence(request, response, exception);
              }
            });
        return filter;
      }
    };
  }

  /** Access tokens are of the type {@code at+jwt} (RFC 9068), and not signed with RS256 by default. */
  @Bean
  JwtDecoder decoder(@Value("${ISSUER}") String issuer, @Value("${AUDIENCE}") String audience) {
    var decoder =
        NimbusJwtDecoder.withJwkSetUri(issuer + "/.well-known/jwks.json")
            .jwsAlgorithms(
                algorithms -> algorithms.addAll(List.of(SignatureAlgorithm.ES256, SignatureAlgorithm.RS256)))
            .validateType(false)
            .build();
    decoder.setJwtValidator(
        JwtValidators.createAtJwtValidator()
            .issuer(issuer)
            .audience(audience)
            .clientId("first-party")
            .validators(checks -> checks.put("sid", new JwtClaimValidator<String>("sid", Objects::nonNull)))
            // A token that is bound to a key needs a proof, which is not checked here.
            .validators(checks -> checks.put("cnf", new JwtClaimValidator<Object>("cnf", Objects::isNull)))
            .build());
    return decoder;
  }

  /** The front end sends its access token, and reads why it was refused. */
  @Bean
  CorsConfigurationSource corsConfigurationSource(@Value("${ORIGIN}") String origin) {
    var configuration = new CorsConfiguration();
    configuration.setAllowedOrigins(List.of(origin));
    configuration.setAllowedHeaders(List.of("Authorization"));
    configuration.setExposedHeaders(List.of("WWW-Authenticate", "Retry-After"));
    var source = new UrlBasedCorsConfigurationSource();
    source.registerCorsConfiguration("/**", configuration);
    return source;
  }
}
