import java.lang.reflect.Field;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.monitoring.Telemetry;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/**
 * DynamoDB Local with its port open on 127.0.0.1 only. It has no option for that, so the connectors
 * of the HTTP server in it are given an address before they listen. Takes the arguments of
 * {@link ServerRunner}.
 */
public final class Loopback {
    public static void main(String[] arguments) throws Exception {
        Telemetry.configureTelemetry("", "", false);
        DynamoDBProxyServer server = ServerRunner.createServerFromCommandLineArgs(arguments);
        Field inner = DynamoDBProxyServer.class.getDeclaredField("server");
        inner.setAccessible(true);
        for (Connector connector : ((Server) inner.get(server)).getConnectors()) {
            ((ServerConnector) connector).setHost("127.0.0.1");
        }
        server.start();
        server.join();
    }
}
