import java.security.GeneralSecurityException;
import java.security.Security;
import java.util.Locale;
import java.util.TreeSet;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;

/** Prints the trust manager algorithms that this Java offers, one a line; first its default, if that works. */
public final class Algorithms {
    public static void main(String[] arguments) {
        String trust = TrustManagerFactory.getDefaultAlgorithm();
        System.out.println("default " + (has(trust) && hasKeys(KeyManagerFactory.getDefaultAlgorithm()) ? trust : ""));
        for (String name : new TreeSet<>(Security.getAlgorithms("TrustManagerFactory"))) {
            // Cassandra asks for key managers by the same name.
            if (has(name) && hasKeys(name)) {
                System.out.println(name.toUpperCase(Locale.ROOT));
            }
        }
    }

    private static boolean has(String name) {
        try {
            return TrustManagerFactory.getInstance(name) != null;
        } catch (GeneralSecurityException missing) {
            return false;
        }
    }

    private static boolean hasKeys(String name) {
        try {
            return KeyManagerFactory.getInstance(name) != null;
        } catch (GeneralSecurityException missing) {
            return false;
        }
    }
}
